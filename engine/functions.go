//go:build gms_pure_go && duckdb_arrow

package engine

import (
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"

	gms "github.com/dolthub/go-mysql-server/sql"

	"github.com/leatdb/leat/engine/dataflow"
	"github.com/leatdb/leat/planner"
	"github.com/leatdb/leat/planner/function"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

// functions are the Go functions that the program has registered.
type functions struct {
	sync.RWMutex
	byName map[string]*goFunction
}

func newFunctions() *functions { return &functions{byName: map[string]*goFunction{}} }

// goFunction is a registered function.
type goFunction struct {
	name     string
	fn       reflect.Value
	args     []goType
	variadic bool
	result   goType
	fails    bool // it returns an error as well
}

// goType is how a Go type and a SQL type go together.
type goType struct {
	goType   reflect.Type
	nullable bool // a pointer: nil is NULL
	sqlType  types.Type
}

var timeType = reflect.TypeFor[time.Time]()

func newGoType(t reflect.Type) (goType, error) {
	g := goType{goType: t}
	if t.Kind() == reflect.Pointer {
		g.nullable, t = true, t.Elem()
	}
	switch {
	case t == timeType:
		g.sqlType = types.TypeDateTime
	case t.Kind() == reflect.Bool:
		g.sqlType = types.TypeBool
	case t.Kind() >= reflect.Int && t.Kind() <= reflect.Int64:
		g.sqlType = types.TypeInt64
	case t.Kind() >= reflect.Uint && t.Kind() <= reflect.Uint64:
		g.sqlType = types.TypeUint64
	case t.Kind() == reflect.Float32, t.Kind() == reflect.Float64:
		g.sqlType = types.TypeFloat64
	case t.Kind() == reflect.String:
		g.sqlType = types.TypeText
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
		g.sqlType = types.TypeBlob
	default:
		return g, fmt.Errorf("type %s of Go has no SQL type; use bool, integers, floats, string, []byte, time.Time, or pointers to them", g.goType)
	}
	return g, nil
}

// RegisterFunc makes a Go function callable in SQL, in streams and in queries,
// row by row. Its parameters and its result are bool, integers, floats, string,
// []byte, time.Time, or pointers to these, whose nil is NULL; without a pointer
// a NULL argument makes the result NULL without a call. It may return an error
// as a second result, which makes the row a dead letter. It has to be a pure
// function of its arguments and safe for use by many goroutines.
//
// Functions are not stored: a program registers them each time it opens the
// directory. A stored stream that needs one which is missing is FAILED until it
// is registered. The name may not be that of a built-in function.
func (db *DB) RegisterFunc(name string, fn any) error {
	f, err := newGoFunction(name, fn)
	if err != nil {
		return sqlerror.Userf(sqlerror.CodeType, "%w", err).About("function " + name)
	}
	lower := strings.ToLower(name)
	if _, ok := function.Lookup(lower); ok {
		return sqlerror.Userf(sqlerror.CodeExists, "it is a built-in function").About("function " + name)
	}
	db.functions.Lock()
	_, again := db.functions.byName[lower]
	if !again {
		if _, ok := db.mysql.Analyzer.Catalog.Function(gms.NewEmptyContext(), "", lower); ok {
			db.functions.Unlock()
			return sqlerror.Userf(sqlerror.CodeExists, "it is a built-in function").About("function " + name)
		}
	}
	db.functions.byName[lower] = f
	db.functions.Unlock()
	if !again {
		db.mysql.Analyzer.Catalog.RegisterFunction(gms.NewEmptyContext(), gms.FunctionN{
			Name: lower,
			Fn: func(_ *gms.Context, args ...gms.Expression) (gms.Expression, error) {
				db.functions.RLock()
				f := db.functions.byName[lower]
				db.functions.RUnlock()
				return newGoCall(f, args)
			},
		})
	}
	db.startWaiting()
	return nil
}

// startWaiting starts the stored streams that could not be planned for want of a
// function, which may be named by a view that they read.
func (db *DB) startWaiting() {
	db.ddl.Lock()
	defer db.ddl.Unlock()
	for _, s := range db.allStreams() {
		if s.status().State == dataflow.Failed && s.running() == nil {
			db.restart(db.ctx, s)
		}
	}
}

// missingFunction gives the error of a stored stream whose function is unknown
// the hint that the function may be one of the program's.
func missingFunction(err error) error {
	e := sqlerror.As(err)
	if e == nil || e.Code != sqlerror.CodeUnknownObject || !strings.HasPrefix(e.Message, "unknown function ") {
		return err
	}
	hinted := *e
	hinted.Hint = "if it is a Go function of the program, the stream starts when the program registers it with RegisterFunc"
	return &hinted
}

func newGoFunction(name string, fn any) (*goFunction, error) {
	v := reflect.ValueOf(fn)
	if fn == nil || v.Kind() != reflect.Func || v.IsNil() {
		return nil, fmt.Errorf("expected a function, got %T", fn)
	}
	if name == "" || strings.ContainsFunc(name, func(r rune) bool {
		return r != '_' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
	}) {
		return nil, fmt.Errorf("%q is no function name: letters, digits and _", name)
	}
	t := v.Type()
	f := &goFunction{name: name, fn: v, variadic: t.IsVariadic()}
	for i := range t.NumIn() {
		in := t.In(i)
		if f.variadic && i == t.NumIn()-1 {
			in = in.Elem()
		}
		g, err := newGoType(in)
		if err != nil {
			return nil, fmt.Errorf("parameter %d: %w", i+1, err)
		}
		f.args = append(f.args, g)
	}
	errorType := reflect.TypeFor[error]()
	switch {
	case t.NumOut() == 1:
	case t.NumOut() == 2 && t.Out(1) == errorType:
		f.fails = true
	default:
		return nil, fmt.Errorf("it returns %d values; expected one, or one and an error", t.NumOut())
	}
	var err error
	if f.result, err = newGoType(t.Out(0)); err != nil {
		return nil, fmt.Errorf("result: %w", err)
	}
	return f, nil
}

// goCall is a call of a registered function, as the MySQL engine sees it.
type goCall struct {
	f    *goFunction
	args []gms.Expression
	typ  gms.Type
}

func newGoCall(f *goFunction, args []gms.Expression) (gms.Expression, error) {
	low := len(f.args)
	if f.variadic {
		low--
	}
	if len(args) < low || !f.variadic && len(args) > low {
		return nil, gms.ErrInvalidArgumentNumber.New(f.name, low, len(args))
	}
	typ, err := planner.GMSType(f.result.sqlType)
	if err != nil {
		return nil, err
	}
	return &goCall{f, args, typ}, nil
}

// FunctionName implements gms.FunctionExpression.
func (c *goCall) FunctionName() string { return strings.ToLower(c.f.name) }

// Description implements gms.FunctionExpression.
func (c *goCall) Description() string { return "a Go function of the program" }

// Resolved implements gms.Expression.
func (c *goCall) Resolved() bool {
	for _, a := range c.args {
		if !a.Resolved() {
			return false
		}
	}
	return true
}

// String implements gms.Expression.
func (c *goCall) String() string {
	args := make([]string, len(c.args))
	for i, a := range c.args {
		args[i] = a.String()
	}
	return c.f.name + "(" + strings.Join(args, ", ") + ")"
}

// Type implements gms.Expression.
func (c *goCall) Type(*gms.Context) gms.Type { return c.typ }

// IsNullable implements gms.Expression.
func (c *goCall) IsNullable(*gms.Context) bool { return true }

// Children implements gms.Expression.
func (c *goCall) Children() []gms.Expression { return c.args }

// WithChildren implements gms.Expression.
func (c *goCall) WithChildren(_ *gms.Context, children ...gms.Expression) (gms.Expression, error) {
	return newGoCall(c.f, children)
}

// Eval implements gms.Expression.
func (c *goCall) Eval(ctx *gms.Context, row gms.Row) (_ any, err error) {
	in := make([]reflect.Value, len(c.args))
	for i, a := range c.args {
		v, err := a.Eval(ctx, row)
		if err != nil {
			return nil, err
		}
		g := c.f.args[min(i, len(c.f.args)-1)]
		value, null, err := g.fromSQL(ctx, v)
		if err != nil {
			return nil, fmt.Errorf("argument %d of %s: %w", i+1, c.f.name, err)
		}
		if null {
			return nil, nil
		}
		in[i] = value
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("function %s panicked: %v", c.f.name, r)
		}
	}()
	out := c.f.fn.Call(in)
	if c.f.fails && !out[1].IsNil() {
		return nil, fmt.Errorf("function %s: %w", c.f.name, out[1].Interface().(error))
	}
	return c.f.result.toSQL(out[0])
}

// fromSQL converts a value of the MySQL engine to the Go type; null means that
// the value is NULL and the type cannot hold it.
func (g goType) fromSQL(ctx *gms.Context, v any) (value reflect.Value, null bool, err error) {
	plain, err := planner.FromGMSValue(ctx, v, g.sqlType, time.UTC)
	if err != nil {
		return value, false, err
	}
	if plain == nil {
		if g.nullable {
			return reflect.Zero(g.goType), false, nil
		}
		return value, true, nil
	}
	t := g.goType
	if g.nullable {
		t = t.Elem()
	}
	if t == timeType {
		value = reflect.ValueOf(time.UnixMicro(plain.(int64)).UTC())
	} else {
		value = reflect.ValueOf(plain)
		if overflows(value, t) {
			return value, false, fmt.Errorf("%v does not fit %s", plain, t)
		}
		value = value.Convert(t)
	}
	if g.nullable {
		pointer := reflect.New(t)
		pointer.Elem().Set(value)
		value = pointer
	}
	return value, false, nil
}

func overflows(v reflect.Value, t reflect.Type) bool {
	zero := reflect.New(t).Elem()
	switch {
	case v.CanInt():
		return zero.CanInt() && zero.OverflowInt(v.Int())
	case v.CanUint():
		return zero.CanUint() && zero.OverflowUint(v.Uint())
	}
	return false
}

func (g goType) toSQL(v reflect.Value) (any, error) {
	if g.nullable {
		if v.IsNil() {
			return nil, nil
		}
		v = v.Elem()
	}
	var plain any
	switch g.sqlType.Kind {
	case types.DateTime:
		plain = v.Interface().(time.Time).UnixMicro()
	case types.Int64:
		plain = v.Int()
	case types.Uint64:
		plain = v.Uint()
	case types.Float64:
		plain = v.Float()
	case types.Bool:
		plain = v.Bool()
	case types.String:
		plain = v.String()
	default:
		if v.IsNil() {
			return nil, nil
		}
		plain = v.Bytes()
	}
	return planner.GMSValue(plain, g.sqlType, time.UTC)
}
