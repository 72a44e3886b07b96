package adhoc

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/leatdb/leat/planner/logical"
)

// defaultMaxRecursion is MySQL's cte_max_recursion_depth.
const defaultMaxRecursion = 1000

// workTable is how a recursive UNION is called in its right side.
type workTable struct {
	table   string
	columns []logical.OutputColumn
}

// recursive spells a recursive UNION ALL. DuckDB has no bound of its own: another
// column, depth, counts the steps.
func (s *speller) recursive(n *logical.SetOp) (*selection, error) {
	start, err := s.operand(n.Left, n.Columns)
	if err != nil {
		return nil, err
	}
	work := "r" + strconv.Itoa(len(s.works))
	if s.works == nil {
		s.works = make(map[*logical.WorkTable]workTable)
	}
	s.works[n.Work] = workTable{work, n.Columns}
	step, err := s.operand(n.Right, n.Columns)
	if err != nil {
		return nil, err
	}
	most := s.session.MaxRecursion
	if most == 0 {
		most = defaultMaxRecursion
	}
	aborted := fmt.Sprintf("Recursive query aborted after %d iterations. Try increasing @@cte_max_recursion_depth to a larger value.", most+1)
	columns := columnList(n.Columns)
	sql := fmt.Sprintf("(WITH RECURSIVE %[1]s(%[2]s, depth) AS (SELECT %[2]s, 0 FROM (%[3]s) UNION ALL "+
		"SELECT %[2]s, (SELECT CASE WHEN max(depth) < %[5]d THEN max(depth) + 1 ELSE error(%[6]s) END FROM %[1]s) FROM (%[4]s)) "+
		"SELECT %[2]s FROM %[1]s) AS %[7]s", work, columns, start, step, most, quoteText(aborted), s.name())
	return &selection{from: sql, items: passed(n.Columns)}, nil
}

// workTable spells the scan of what a recursive UNION has added last.
func (s *speller) workTable(n *logical.Scan, work *logical.WorkTable) (*selection, error) {
	name, ok := s.works[work]
	if !ok {
		return nil, unsupported("%s is read outside of its recursion", n.Name)
	}
	q := &selection{from: name.table, computed: true}
	for _, c := range n.Columns {
		i := slices.Index(work.Columns, c.Name)
		if i < 0 {
			return nil, fmt.Errorf("recursive table %s has no column %s", n.Name, c.Name)
		}
		q.items = append(q.items, item{id: c.ID, sql: columnName(name.columns[i].ID)})
	}
	return q, nil
}
