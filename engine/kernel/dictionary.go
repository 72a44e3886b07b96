package kernel

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/leatdb/leat/sql/types"
)

// dictionaryType is the one dictionary type that columns have.
var dictionaryType = &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: arrow.BinaryTypes.String}

func isDictionary(arr arrow.Array) bool { return arr.DataType().ID() == arrow.DICTIONARY }

// decode gives a dictionary array's values row by row, in place of v's array;
// other arrays stay.
func (v *Vector) decode(ctx *Context) error {
	if !isDictionary(v.Array) {
		return nil
	}
	d := v.Array.(*array.Dictionary)
	plain, err := take(ctx.Alloc, d.Dictionary(), fixedValues[int32](d), validity(d))
	if err != nil {
		return err
	}
	v.Array.Release()
	v.Array = plain
	return nil
}

func decodeAll(ctx *Context, args []Vector) error {
	for i := range args {
		if err := args[i].decode(ctx); err != nil {
			return err
		}
	}
	return nil
}

// perDistinct evaluates a call whose arguments are one dictionary array and
// constants on the dictionary's values and looks the rows up in the result.
func (c *call) perDistinct(ctx *Context, in *Batch, args []Vector) (Vector, error) {
	at := 0
	for args[at].Const {
		at++
	}
	d := args[at].Array.(*array.Dictionary)
	values := d.Dictionary()
	wanted := in.Rows
	if in.Sel != nil {
		wanted = len(in.Sel)
	}
	if values.Len() > wanted || values.Len() == 0 {
		if err := args[at].decode(ctx); err != nil {
			return Vector{}, err
		}
		return c.apply(ctx, in.Rows, in.Sel, args)
	}
	indices, valid := fixedValues[int32](d), validity(d)

	column := args[at]
	args[at] = Vector{Array: values}
	distinct, err := c.apply(ctx, values.Len(), nil, args)
	args[at] = column
	if err != nil || distinct.Const {
		return distinct, err
	}
	defer distinct.Release()

	var errs *Errors
	if distinct.Errors != nil {
		for i, index := range indices {
			if valid.get(i) {
				if failed := distinct.Errors.Row(int(index)); failed != nil {
					errs = errs.Set(i, failed)
				}
			}
		}
	}
	if d.NullN() > 0 {
		args[at] = nullVector(ctx, c.args[at].Type())
		ofNull, err := c.apply(ctx, 1, nil, args)
		args[at].Release()
		args[at] = column
		if err != nil {
			return Vector{}, err
		}
		defer ofNull.Release()
		if failed := ofNull.Errors.Row(0); failed != nil || ofNull.Array.IsValid(0) {
			return c.withNull(ctx, distinct, ofNull, indices, valid, errs)
		}
	}
	arr, err := c.lookUp(ctx, distinct.Array, indices, valid)
	return Vector{Array: arr, Errors: errs}, err
}

// withNull looks the rows up where NULL has a value of its own.
func (c *call) withNull(ctx *Context, distinct, ofNull Vector, indices []int32, valid bitmap, errs *Errors) (Vector, error) {
	all, err := array.Concatenate([]arrow.Array{distinct.Array, ofNull.Array}, ctx.Alloc)
	if err != nil {
		return Vector{}, err
	}
	defer all.Release()
	failed := ofNull.Errors.Row(0)
	remapped := newBuffer(memory.DefaultAllocator, 4*len(indices))
	defer remapped.Release()
	to := reinterpret[int32](remapped.Bytes())
	for i := range indices {
		if valid.get(i) {
			to[i] = indices[i]
			continue
		}
		to[i] = int32(distinct.Array.Len())
		if failed != nil {
			errs = errs.Set(i, failed)
		}
	}
	arr, err := c.lookUp(ctx, all, to, bitmap{})
	return Vector{Array: arr, Errors: errs}, err
}

// lookUp gathers the rows' results from the results of distinct values. Text
// stays a dictionary array, of values that are distinct again.
func (c *call) lookUp(ctx *Context, results arrow.Array, indices []int32, valid bitmap) (arrow.Array, error) {
	if c.out.Kind != types.String {
		return take(ctx.Alloc, results, indices, valid)
	}
	// codes are the results' places in the new dictionary, −1 for NULL.
	text := textsOf(Vector{Array: results})
	resultValid := validity(results)
	codes := make([]int32, results.Len())
	firsts := make([]int32, 0, results.Len())
	seen := make(map[string]int32, results.Len())
	for i := range codes {
		if !resultValid.get(i) {
			codes[i] = -1
			continue
		}
		code, ok := seen[string(text.at(i))]
		if !ok {
			code = int32(len(firsts))
			seen[string(text.at(i))] = code
			firsts = append(firsts, int32(i))
		}
		codes[i] = code
	}
	values := results
	if len(firsts) < results.Len() {
		var err error
		if values, err = take(ctx.Alloc, results, firsts, bitmap{}); err != nil {
			return nil, err
		}
		defer values.Release()
	}

	rows := len(indices)
	out := newBuffer(ctx.Alloc, 4*rows)
	to := reinterpret[int32](out.Bytes())
	words := ctx.scratch.takeWords(wordCount(rows))
	defer ctx.scratch.giveWords(words)
	clear(words)
	nulls := 0
	for i, index := range indices {
		code := int32(-1)
		if valid.get(i) {
			code = codes[index]
		}
		if code < 0 {
			nulls++
			to[i] = 0
			continue
		}
		to[i] = code
		setBit(words, i)
	}
	var nullBits *memory.Buffer
	if nulls > 0 {
		nullBits = newBuffer(ctx.Alloc, 8*len(words))
		copy(reinterpret[uint64](nullBits.Bytes()), words)
		defer nullBits.Release()
	}
	data := array.NewDataWithDictionary(dictionaryType, rows, []*memory.Buffer{nullBits, out}, nulls, 0, values.Data().(*array.Data))
	out.Release()
	defer data.Release()
	return array.NewDictionaryData(data), nil
}
