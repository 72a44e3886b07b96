package planner

import (
	"strings"

	gms "github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/go-mysql-server/sql/expression"

	"github.com/leatdb/leat/planner/logical"
)

// scope is what the expressions of one node of a bound tree can refer to. The
// MySQL engine's column ids are not unique in a tree (a common table expression
// that is used twice is copied, ids and all), so each is resolved within the
// node's own inputs only.
type scope struct {
	cols []boundColumn
	// outer is the scope of the enclosing query, or the left side of a lateral
	// join.
	outer *scope
	// computed are expressions that an aggregation below has grouped by, by
	// their text in the bound tree.
	computed map[string]logical.OutputColumn
	// grouping are the columns that say of the keys of a WITH ROLLUP below
	// whether they are left out, by the key.
	grouping map[logical.ColumnID]logical.OutputColumn
}

// boundColumn is a column of the bound tree with the one of ours that it became.
type boundColumn struct {
	id          gms.ColumnId // 0 if nothing can refer to it by id
	table, name string
	col         logical.OutputColumn
	// ungrouped is set for a column of an aggregation that is neither grouped by
	// nor aggregated: MySQL's ONLY_FULL_GROUP_BY refuses it where it is used.
	ungrouped bool
	// collation is the one that the column was given, other than by bytes; 0 for
	// none.
	collation gms.CollationID
	// average is set for an exact AVG of the aggregation right below.
	average *average
}

// resolve finds the column that a reference means: by id, or by name where the
// engine's binder left the id out.
func (s *scope) resolve(f *expression.GetField) (boundColumn, bool) {
	for in := s; in != nil; in = in.outer {
		if c, ok := in.own(f.Id()); ok {
			return c, true
		}
	}
	for in := s; in != nil; in = in.outer {
		var found []boundColumn
		for _, c := range in.cols {
			if strings.EqualFold(c.name, f.Name()) && (f.Table() == "" || strings.EqualFold(c.table, f.Table())) {
				found = append(found, c)
			}
		}
		if len(found) > 0 {
			return found[0], len(found) == 1
		}
	}
	return boundColumn{}, false
}

// own finds a column of the scope itself by id.
func (s *scope) own(id gms.ColumnId) (boundColumn, bool) {
	if s != nil && id != 0 {
		for _, c := range s.cols {
			if c.id == id {
				return c, true
			}
		}
	}
	return boundColumn{}, false
}

// outputs are the logical columns in the order of the bound node's schema.
func (s *scope) outputs() []logical.OutputColumn {
	out := make([]logical.OutputColumn, len(s.cols))
	for i, c := range s.cols {
		out[i] = c.col
	}
	return out
}
