package adhoc

/*
void leatKernelCall(void *info, void *input, void *output);
typedef void (*leat_scalar_function)(void *, void *, void *);
*/
import "C"

import (
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"time"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"
	duckdb "github.com/duckdb/duckdb-go-bindings"

	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/planner/function"
	"github.com/leatdb/leat/planner/logical"
	"github.com/leatdb/leat/sql/types"
)

// A function or a conversion that DuckDB has not with MySQL's meaning is
// evaluated by the kernel that streams evaluate it with: the statement calls
// leat_eval_<type>(number, operands …), and the number says which compiled
// expression is meant. One such function is registered for each result type.

// bridged is an expression of a statement that a kernel evaluates.
type bridged struct {
	// newExpr gives the kernel to each thread: one that evaluates row by row keeps
	// state.
	newExpr  func() kernel.Expr
	operands []types.Type
	result   types.Type
	volatile bool
}

// function is the name of the DuckDB function that evaluates it.
func (b *bridged) function() string {
	name := "leat_eval_"
	if b.volatile {
		name = "leat_eval_volatile_"
	}
	suffix := strings.NewReplacer("(", "_", ",", "_", ")", "").Replace(function.DuckDBType(b.result))
	return name + strings.ToLower(suffix)
}

// kernel spells e as a call of its kernel.
func (s *speller) kernel(e logical.Expr) (string, error) {
	c := &kernelCompiler{speller: s}
	expr, err := c.compile(e, true)
	if err != nil {
		return "", err
	}
	name := e.Type().String()
	if call, ok := e.(*logical.Call); ok {
		name = call.Func.Name
	}
	return c.call(name, e, func() kernel.Expr { return expr }), nil
}

// rowByRow spells e as a call of the kernel that evaluates it row by row.
func (s *speller) rowByRow(e *logical.RowFunc) (string, error) {
	c := &kernelCompiler{speller: s}
	args := make([]kernel.Expr, len(e.Args))
	for i, a := range e.Args {
		var err error
		if args[i], err = c.operand(a); err != nil {
			return "", err
		}
	}
	return c.call(e.Name, e, func() kernel.Expr { return kernel.RowFunc(e.New, e.T, args...) }), nil
}

// call spells the call of a kernel of e over the operands so far.
func (c *kernelCompiler) call(name string, e logical.Expr, newExpr func() kernel.Expr) string {
	number := c.group | int64(len(c.kernels))
	b := bridged{newExpr: newExpr, operands: c.operands, result: e.Type(), volatile: volatile(e)}
	c.kernels = append(c.kernels, b)
	args := append([]string{fmt.Sprintf("%d /* %s */", number, strings.ReplaceAll(name, "*/", ""))}, c.spelled...)
	return b.function() + "(" + strings.Join(args, ", ") + ")"
}

// kernelCompiler compiles an expression whose operands DuckDB evaluates.
type kernelCompiler struct {
	*speller
	operands []types.Type
	spelled  []string
}

// compile makes the kernel of e. Unless inside is set, e is an operand, which
// becomes a column of the kernel's batch where DuckDB can evaluate it: not a
// quotient, whose further digits the kernel is there for.
func (c *kernelCompiler) compile(e logical.Expr, inside bool) (kernel.Expr, error) {
	switch e := e.(type) {
	case *logical.Literal:
		expr, err := kernel.Constant(e.Value, e.T)
		if err != nil {
			return nil, unsupported("%v", err)
		}
		return expr, nil
	case *logical.Interval:
		value, err := c.compile(e.Value, false)
		if err != nil {
			return nil, err
		}
		return kernel.Interval(value, e.Unit)
	case *logical.Call:
		if !inside && c.hasSpelling(e) && !logical.HasQuotient(e) || e.Func == nil {
			break
		}
		if e.Func.Kernel == nil && e.Func.Build == nil {
			return nil, unsupported("DuckDB has nothing that means %s", strings.ToUpper(e.Func.Name))
		}
		args := make([]kernel.Expr, len(e.Args))
		for i, a := range e.Args {
			var err error
			if args[i], err = c.compile(a, false); err != nil {
				return nil, err
			}
		}
		expr, err := e.Func.Compile(args, e.T)
		if err != nil {
			return nil, unsupported("%s: %v", strings.ToUpper(e.Func.Name), err)
		}
		return expr, nil
	case *logical.Cast:
		if !inside && c.castsPlainly(e) {
			break
		}
		arg, err := c.compile(e.Arg, false)
		if err != nil {
			return nil, err
		}
		return kernel.Cast(arg, e.T), nil
	}
	return c.operand(e)
}

// operand makes e a column of the kernel's batch.
func (c *kernelCompiler) operand(e logical.Expr) (kernel.Expr, error) {
	sql, err := c.expr(e)
	if err != nil {
		return nil, err
	}
	t := e.Type()
	if t.Kind == types.Null {
		return nil, unsupported("an operand has no type")
	}
	for i, known := range c.spelled {
		if known == sql && c.operands[i].Equal(t) {
			return kernel.Column(i, t), nil
		}
	}
	c.operands, c.spelled = append(c.operands, t), append(c.spelled, sql)
	return kernel.Column(len(c.operands)-1, t), nil
}

// groupShift leaves room for the numbers of one statement's kernels.
const groupShift = 16

// running are the kernels that statements in execution call, by number. C can
// hold no Go pointers, so its functions are given the numbers.
var running sync.Map // int64 → *runningKernel

// runningKernel is a bridged expression in execution. DuckDB calls it from
// several threads at once.
type runningKernel struct {
	bridged
	schema  *arrow.Schema
	options duckdb.ArrowOptions
	// evaluations are those of threads that are not evaluating just now.
	evaluations sync.Pool
}

// evaluation serves one thread at a time.
type evaluation struct {
	expr kernel.Expr
	ctx  *kernel.Context
}

// startKernels makes a statement's kernels callable, and returns the function
// that ends this after the statement.
func startKernels(c *connection, kernels []bridged, group int64, session Session, alloc memory.Allocator) (stop func()) {
	if len(kernels) == 0 {
		return func() {}
	}
	var options duckdb.ArrowOptions
	duckdb.ConnectionGetArrowOptions(c.conn, &options)
	now := session.Now
	if now.IsZero() {
		now = time.Now()
	}
	for i, b := range kernels {
		fields := []arrow.Field{{Name: "number", Type: arrow.PrimitiveTypes.Int64}}
		for j, t := range b.operands {
			fields = append(fields, arrow.Field{Name: fmt.Sprint("a", j), Type: t.Arrow(), Nullable: true})
		}
		k := &runningKernel{bridged: b, schema: arrow.NewSchema(fields, nil), options: options}
		k.evaluations.New = func() any {
			return &evaluation{k.newExpr(), &kernel.Context{Alloc: alloc, Now: now, Location: session.Location, Warn: session.Warn}}
		}
		running.Store(group|int64(i), k)
	}
	return func() {
		for i := range kernels {
			running.Delete(group | int64(i))
		}
		duckdb.DestroyArrowOptions(&options)
	}
}

// registerKernels makes DuckDB know the functions that kernels are called by.
func (d *database) registerKernels(kernels []bridged) error {
	for i := range kernels {
		b := &kernels[i]
		name := b.function()
		d.mu.Lock()
		known := d.functions[name]
		d.mu.Unlock()
		if known {
			continue
		}
		if err := d.registerKernel(name, b); err != nil {
			return err
		}
	}
	return nil
}

func (d *database) registerKernel(name string, b *bridged) error {
	c, err := d.connect()
	if err != nil {
		return err
	}
	defer d.release(c)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.functions[name] {
		return nil
	}
	f := duckdb.CreateScalarFunction()
	defer duckdb.DestroyScalarFunction(&f)
	duckdb.ScalarFunctionSetName(f, name)
	number := duckdb.CreateLogicalType(duckdb.TypeBigInt)
	defer duckdb.DestroyLogicalType(&number)
	anything := duckdb.CreateLogicalType(duckdb.TypeAny)
	defer duckdb.DestroyLogicalType(&anything)
	result := logicalType(b.result)
	defer duckdb.DestroyLogicalType(&result)
	duckdb.ScalarFunctionAddParameter(f, number)
	duckdb.ScalarFunctionSetVarargs(f, anything)
	duckdb.ScalarFunctionSetReturnType(f, result)
	duckdb.ScalarFunctionSetSpecialHandling(f) // kernels see NULLs
	if b.volatile {
		duckdb.ScalarFunctionSetVolatile(f)
	}
	duckdb.ScalarFunctionSetFunction(f, unsafe.Pointer(C.leat_scalar_function(C.leatKernelCall)))
	if duckdb.RegisterScalarFunction(c.conn, f) == duckdb.StateError {
		return fmt.Errorf("register function %s with duckdb", name)
	}
	d.functions[name] = true
	return nil
}

// logicalType is function.DuckDBType for DuckDB's C interface.
func logicalType(t types.Type) duckdb.LogicalType {
	if t.Kind == types.Decimal {
		return duckdb.CreateDecimalType(uint8(t.Precision), uint8(t.Scale))
	}
	id := duckdb.TypeVarchar
	switch t.Kind {
	case types.Bool:
		id = duckdb.TypeBoolean
	case types.Int8:
		id = duckdb.TypeTinyInt
	case types.Int16:
		id = duckdb.TypeSmallInt
	case types.Int32, types.Null:
		id = duckdb.TypeInteger
	case types.Int64:
		id = duckdb.TypeBigInt
	case types.Uint8:
		id = duckdb.TypeUTinyInt
	case types.Uint16:
		id = duckdb.TypeUSmallInt
	case types.Uint32:
		id = duckdb.TypeUInteger
	case types.Uint64:
		id = duckdb.TypeUBigInt
	case types.Float32:
		id = duckdb.TypeFloat
	case types.Float64:
		id = duckdb.TypeDouble
	case types.Binary:
		id = duckdb.TypeBlob
	case types.Date:
		id = duckdb.TypeDate
	case types.Time:
		id = duckdb.TypeTime
	case types.DateTime:
		id = duckdb.TypeTimestamp
	case types.Timestamp:
		id = duckdb.TypeTimestampTZ
	}
	return duckdb.CreateLogicalType(id)
}

// leatKernelCall is what DuckDB calls for every chunk of a leat_eval function.
//
//export leatKernelCall
func leatKernelCall(info, input, output unsafe.Pointer) {
	f := duckdb.FunctionInfo{Ptr: info}
	// A panic must not unwind through C.
	defer func() {
		if p := recover(); p != nil {
			duckdb.ScalarFunctionSetError(f, fmt.Sprintf("%sa kernel panicked: %v\n%s", internalMark, p, debug.Stack()))
		}
	}()
	if err := callKernel(duckdb.DataChunk{Ptr: input}, duckdb.Vector{Ptr: output}); err != nil {
		duckdb.ScalarFunctionSetError(f, err.Error())
	}
}

// internalMark begins the messages that are no fault of the data.
const internalMark = "leat: "

func callKernel(chunk duckdb.DataChunk, output duckdb.Vector) error {
	rows := int(duckdb.DataChunkGetSize(chunk))
	if rows == 0 {
		return nil
	}
	number := *(*int64)(duckdb.VectorGetData(duckdb.DataChunkGetVector(chunk, 0)))
	found, ok := running.Load(number)
	if !ok {
		return errors.New(internalMark + "a kernel was called after its statement")
	}
	k := found.(*runningKernel)
	batch, data := duckdb.DataChunkToArrowArray(k.options, k.schema, chunk)
	if err := dataError(data); err != nil {
		return fmt.Errorf("%sread operands: %w", internalMark, err)
	}
	defer batch.Release()

	e := k.evaluations.Get().(*evaluation)
	defer k.evaluations.Put(e)
	v, err := e.expr.Eval(e.ctx, &kernel.Batch{Columns: batch.Columns()[1:], Rows: rows})
	if err != nil {
		return fmt.Errorf("%s%w", internalMark, err)
	}
	defer v.Release()
	if v.Errors.Len() != 0 {
		for i := range rows {
			if err := v.Errors.Row(i); err != nil {
				return err
			}
		}
	}
	return writeVector(output, v, rows)
}

// writeVector copies a kernel's result into a DuckDB vector of the same type.
func writeVector(out duckdb.Vector, v kernel.Vector, rows int) error {
	arr := v.Array
	var index []int32 // which value each row has, −1 for NULL; nil means its own
	if v.Const {
		index = make([]int32, rows)
	}
	if d, ok := arr.(*array.Dictionary); ok {
		if index == nil {
			index = make([]int32, rows)
			for i := range index {
				index[i] = int32(i)
			}
		}
		for i, j := range index {
			index[i] = -1
			if !d.IsNull(int(j)) {
				index[i] = int32(d.GetValueIndex(int(j)))
			}
		}
		arr = d.Dictionary()
	}
	if index == nil && arr.Len() != rows {
		return fmt.Errorf("%sa kernel gave %d rows for %d", internalMark, arr.Len(), rows)
	}
	writeNulls(out, arr, index, rows)
	switch arr := arr.(type) {
	case *array.Null:
	case *array.Boolean:
		dst := unsafe.Slice((*bool)(duckdb.VectorGetData(out)), rows)
		for i := range dst {
			if j := at(index, i); j >= 0 {
				dst[i] = arr.Value(j)
			}
		}
	case *array.Int8:
		writeFixed(out, index, arr.Int8Values(), rows)
	case *array.Int16:
		writeFixed(out, index, arr.Int16Values(), rows)
	case *array.Int32:
		writeFixed(out, index, arr.Int32Values(), rows)
	case *array.Int64:
		writeFixed(out, index, arr.Int64Values(), rows)
	case *array.Uint8:
		writeFixed(out, index, arr.Uint8Values(), rows)
	case *array.Uint16:
		writeFixed(out, index, arr.Uint16Values(), rows)
	case *array.Uint32:
		writeFixed(out, index, arr.Uint32Values(), rows)
	case *array.Uint64:
		writeFixed(out, index, arr.Uint64Values(), rows)
	case *array.Float32:
		writeFixed(out, index, arr.Float32Values(), rows)
	case *array.Float64:
		writeFixed(out, index, arr.Float64Values(), rows)
	case *array.Date32:
		writeFixed(out, index, arr.Date32Values(), rows)
	case *array.Time64:
		writeFixed(out, index, arr.Time64Values(), rows)
	case *array.Timestamp:
		writeFixed(out, index, arr.TimestampValues(), rows)
	case *array.Decimal128:
		writeDecimals(out, index, arr, rows)
	case *array.String:
		for i := range rows {
			if j := at(index, i); j >= 0 && arr.IsValid(j) {
				duckdb.VectorAssignStringElement(out, duckdb.IdxT(i), arr.Value(j))
			}
		}
	case *array.Binary:
		for i := range rows {
			if j := at(index, i); j >= 0 && arr.IsValid(j) {
				duckdb.UnsafeVectorAssignStringElementLen(out, duckdb.IdxT(i), arr.Value(j))
			}
		}
	default:
		return fmt.Errorf("%sa kernel gave %s", internalMark, arr.DataType())
	}
	return nil
}

func at(index []int32, i int) int {
	if index == nil {
		return i
	}
	return int(index[i])
}

func writeNulls(out duckdb.Vector, arr arrow.Array, index []int32, rows int) {
	if index == nil && arr.NullN() == 0 {
		return
	}
	duckdb.VectorEnsureValidityWritable(out)
	valid := unsafe.Slice((*uint64)(duckdb.VectorGetValidity(out)), (rows+63)/64)
	for i := range rows {
		if j := at(index, i); j < 0 || arr.IsNull(j) {
			valid[i/64] &^= 1 << (i % 64)
		}
	}
}

func writeFixed[T any](out duckdb.Vector, index []int32, values []T, rows int) {
	dst := unsafe.Slice((*T)(duckdb.VectorGetData(out)), rows)
	if index == nil {
		copy(dst, values)
		return
	}
	for i, j := range index {
		if j >= 0 {
			dst[i] = values[j]
		}
	}
}

// writeDecimals uses the width that DuckDB holds a DECIMAL of the precision in.
func writeDecimals(out duckdb.Vector, index []int32, arr *array.Decimal128, rows int) {
	values := arr.Values()
	switch p := arr.DataType().(*arrow.Decimal128Type).Precision; {
	case p <= 4:
		writeNarrow[int16](out, index, values, rows)
	case p <= 9:
		writeNarrow[int32](out, index, values, rows)
	case p <= 18:
		writeNarrow[int64](out, index, values, rows)
	default:
		writeFixed(out, index, values, rows) // the same 16 bytes
	}
}

func writeNarrow[T int16 | int32 | int64](out duckdb.Vector, index []int32, values []decimal128.Num, rows int) {
	dst := unsafe.Slice((*T)(duckdb.VectorGetData(out)), rows)
	for i := range dst {
		if j := at(index, i); j >= 0 {
			dst[i] = T(values[j].LowBits())
		}
	}
}
