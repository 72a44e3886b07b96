//go:build gms_pure_go && duckdb_arrow

package engine

import (
	"slices"
	"strings"
	"sync"

	"github.com/apache/arrow-go/v18/arrow/array"
	gms "github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/go-mysql-server/sql/analyzer"
	"github.com/dolthub/go-mysql-server/sql/plan"
	"github.com/dolthub/go-mysql-server/sql/transform"

	"github.com/leatdb/leat/engine/adhoc"
)

// maxWarnings is how many warnings a statement keeps: max_error_count.
const maxWarnings = 1024

// warning is what SHOW WARNINGS tells.
type warning struct {
	number  int
	message string
}

// warningNumbers are MySQL's numbers of warnings by how they begin; the others
// are of values that were cut or are none of their type.
var warningNumbers = []struct {
	begins string
	number int
}{
	{"Division by 0", 1365},
	{"Out of range value", 1264},
	{"Result was larger than max_allowed_packet", 1301},
	{"Datetime function: ", 1441},
	{"Incorrect arguments to ", 1210},
	{"Invalid argument for logarithm", 3020},
	{"Invalid JSON text", 3141},
	{"Invalid JSON value for CAST", 3156},
}

const (
	truncatedWarning = 1292
	incorrectWarning = 1411 // "… for function f"
)

func warningNumber(message string) int {
	if strings.HasPrefix(message, "Incorrect ") && strings.Contains(message, " for function ") {
		return incorrectWarning
	}
	for _, w := range warningNumbers {
		if strings.HasPrefix(message, w.begins) {
			return w.number
		}
	}
	return truncatedWarning
}

// warnings are what a query has to say of its values. They come
// from several threads, and a session takes them from one.
type warnings struct {
	mu   sync.Mutex
	list []warning
}

func (w *warnings) add(err error) { w.addNumber(warningNumber(err.Error()), err.Error()) }

func (w *warnings) addNumber(number int, message string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.list) < maxWarnings {
		w.list = append(w.list, warning{number, message})
	}
}

// tell moves the warnings to the session, for SHOW WARNINGS.
func (w *warnings) tell(ctx *gms.Context) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, warning := range w.list {
		ctx.Warn(warning.number, "%s", warning.message)
	}
	w.list = nil
}

// orderWarnings is the rule that has SHOW WARNINGS list what came first first;
// the MySQL engine lists it last.
func orderWarnings(ctx *gms.Context, _ *analyzer.Analyzer, n gms.Node, _ *plan.Scope, _ analyzer.RuleSelector, _ *gms.QueryFlags) (gms.Node, transform.TreeIdentity, error) {
	return transform.Node(ctx, n, func(ctx *gms.Context, n gms.Node) (gms.Node, transform.TreeIdentity, error) {
		w, ok := n.(plan.ShowWarnings)
		if !ok {
			return n, transform.SameTree, nil
		}
		w = slices.Clone(w)
		slices.Reverse(w)
		return w, transform.NewTree, nil
	})
}

// warningReader tells the session the warnings of each batch that it reads.
type warningReader struct {
	array.RecordReader
	ctx      *gms.Context
	warnings *warnings
}

// Next implements array.RecordReader.
func (r *warningReader) Next() bool {
	ok := r.RecordReader.Next()
	r.warnings.tell(r.ctx)
	return ok
}

// adhocSession is what of a session decides what a query gives.
func adhocSession(ctx *gms.Context, warn func(error)) adhoc.Session {
	s := adhoc.Session{Location: sessionLocation(ctx), Now: ctx.QueryTime(), Warn: warn}
	s.GroupConcatMaxLen = bound(ctx, "group_concat_max_len")
	s.MaxRecursion = bound(ctx, "cte_max_recursion_depth")
	return s
}

// bound is a variable of the session that bounds something, 0 if it is not set.
func bound(ctx *gms.Context, name string) int {
	v, err := ctx.GetSessionVariable(ctx, name)
	if err != nil {
		return 0
	}
	switch n := v.(type) {
	case uint64:
		return int(min(n, 1<<30))
	case int64:
		return int(min(n, 1<<30))
	}
	return 0
}
