package adhoc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/leatdb/leat/planner/logical"
)

// Analysis is what one run of a query took.
type Analysis struct {
	Root      *Operator
	Relations []RelationAnalysis
}

// Operator is one operator that DuckDB ran.
type Operator struct {
	Text   string // what it is and does, in one line
	Rows   int64  // that it gave
	Time   time.Duration
	Inputs []*Operator
}

// RelationAnalysis is how a relation was read.
type RelationAnalysis struct {
	Name string
	// Files are those of a table that were left after pruning, and Bytes their size.
	Files int
	Bytes int64
	// Loaded says that it was read into memory first, and Rows and Batches what.
	Loaded        bool
	Rows, Batches int64
	Time          time.Duration // until DuckDB could read it
}

// Analyze runs a plan as Query does, drops the rows and says what each operator
// took. Its errors are those of Query and of its reader.
func (e *Engine) Analyze(ctx context.Context, plan logical.Node, session Session) (*Analysis, error) {
	group, statement, err := e.spell(plan, session)
	if err != nil {
		return nil, err
	}
	q := e.begin(ctx, session)
	defer q.end()
	q.measures = true
	a, err := q.analyze(statement, group, columnNames(plan))
	if err != nil {
		return nil, q.explain(err)
	}
	return a, nil
}

func (q *query) analyze(statement *Statement, group int64, names func(string) string) (*Analysis, error) {
	sql, sources, err := q.prepare(statement, group)
	if err != nil {
		return nil, err
	}
	stream, err := q.conn.stream(q.ctx, "EXPLAIN (ANALYZE, FORMAT JSON) "+sql)
	if err != nil {
		return nil, err
	}
	defer stream.close()
	batch, err := stream.next(q.ctx)
	if err != nil {
		return nil, err
	}
	if batch == nil {
		return nil, errors.New("duckdb gives no profile")
	}
	defer batch.Release()
	text, ok := batch.Column(int(batch.NumCols()) - 1).(*array.String)
	if !ok || text.Len() == 0 {
		return nil, errors.New("duckdb gives no profile")
	}
	a, err := readProfile([]byte(text.Value(0)), names)
	if err != nil {
		return nil, fmt.Errorf("read duckdb's profile: %w", err)
	}
	for i, s := range sources {
		r := s.measured
		r.Name, r.Loaded, r.Files = statement.Relations[i].Scan.Relation(), s.scanned != "", len(s.files)
		for _, f := range s.files {
			r.Bytes += f.Bytes
		}
		a.Relations = append(a.Relations, r)
	}
	return a, nil
}

// profiled is an operator in DuckDB's profile of a query; the outermost one is the
// query.
type profiled struct {
	Type     string         `json:"operator_type"`
	Timing   float64        `json:"operator_timing"` // seconds
	Rows     int64          `json:"operator_cardinality"`
	Extra    map[string]any `json:"extra_info"`
	Children []profiled     `json:"children"`
}

func readProfile(text []byte, names func(string) string) (*Analysis, error) {
	var root profiled
	if err := json.Unmarshal(text, &root); err != nil {
		return nil, err
	}
	top := &root
	for top.Type == "" || top.Type == "EXPLAIN_ANALYZE" || top.Type == "RESULT_COLLECTOR" {
		if len(top.Children) != 1 {
			return nil, errors.New("it has no operators")
		}
		top = &top.Children[0]
	}
	return &Analysis{Root: top.operator(names)}, nil
}

// details are what DuckDB says of its operators that tells something to who has
// not seen the statement, in this order.
var details = []string{"Join Type", "Conditions", "Expression", "Filters", "Groups", "Aggregates", "Order By", "Top", "Limit", "Offset", "Projections"}

func (p *profiled) operator(names func(string) string) *Operator {
	name := "Operator" // where DuckDB does not say which
	if p.Type != "" {
		name = p.Type[:1] + strings.ReplaceAll(strings.ToLower(p.Type[1:]), "_", " ")
	}
	o := &Operator{Rows: p.Rows, Time: seconds(p.Timing)}
	text := []string{name}
	for _, d := range details {
		if v := strings.Join(strings.Fields(detail(p.Extra[d])), " "); v != "" {
			text = append(text, strings.ToLower(d)+" "+names(v))
		}
	}
	o.Text = strings.Join(text, "; ")
	for i := range p.Children {
		o.Inputs = append(o.Inputs, p.Children[i].operator(names))
	}
	return o
}

func detail(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []any:
		list := make([]string, len(v))
		for i := range v {
			list[i] = detail(v[i])
		}
		return strings.Join(list, ", ")
	}
	return ""
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

var spelledName = regexp.MustCompile(`\b(?:t\d+\.)?c(\d+)\b`)

// columnNames gives the columns in texts of a statement the names that they have in
// its plan.
func columnNames(plan logical.Node) func(string) string {
	known := make(map[string]string)
	logical.TransformPlan(plan, func(n logical.Node) logical.Node {
		for _, c := range n.Output() {
			known[strconv.Itoa(int(c.ID))] = c.Name
		}
		return n
	})
	return func(text string) string {
		return spelledName.ReplaceAllStringFunc(text, func(name string) string {
			if column, ok := known[name[strings.LastIndexByte(name, 'c')+1:]]; ok {
				return column
			}
			return name
		})
	}
}

// countedReader counts what is read of a relation that has to be in memory first.
type countedReader struct {
	array.RecordReader
	measured *RelationAnalysis
}

// Next implements array.RecordReader.
func (r *countedReader) Next() bool {
	ok := r.RecordReader.Next()
	if ok {
		r.measured.Batches++
		r.measured.Rows += r.RecordBatch().NumRows()
	}
	return ok
}
