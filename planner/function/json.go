package function

import (
	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

// document binds a JSON function: a document, then texts. Constant paths, from
// the argument numbered first on, are checked at once.
func document(result types.Type, first int) func([]Arg) (Binding, error) {
	return func(args []Arg) (Binding, error) {
		b := Binding{Args: []types.Type{types.TypeJSON}, Result: result, Nullable: true}
		for i, a := range args[1:] {
			b.Args = append(b.Args, textType(a))
			if path, ok := a.Literal.(string); ok && i+1 >= first {
				if _, err := kernel.ParseJSONPath(path); err != nil {
					return b, sqlerror.Userf(sqlerror.CodeJSONPath, "%w", err)
				}
			}
		}
		return b, nil
	}
}

// documents binds a condition on so many documents, then paths.
func documents(n int) func([]Arg) (Binding, error) {
	return func(args []Arg) (Binding, error) {
		b, err := document(types.TypeBool, n)(args)
		for i, a := range args[:min(n, len(args))] {
			switch a.Type.Kind {
			case types.Null, types.String, types.JSON, types.Binary:
				b.Args[i] = types.TypeJSON
			default:
				return b, sqlerror.Userf(sqlerror.CodeType, "argument %d is a %s, and no JSON", i+1, a.Type).WithHint("write CAST(… AS JSON)")
			}
		}
		return b, err
	}
}

// JSONOrder gives bytes that compare as JSON values do. It has no name in SQL.
var JSONOrder = &Function{
	Name: "json_order", MinArgs: 1, MaxArgs: 1,
	Bind: strict(types.TypeBlob, types.TypeJSON), Kernel: kernel.FuncJSONOrder,
}

// printedJSON is the type of documents that are put together of values.
var printedJSON = types.Type{Kind: types.JSON, Printed: true}

// asGiven binds a function that takes values of any types.
func asGiven(result types.Type) func([]Arg) (Binding, error) {
	return func(args []Arg) (Binding, error) {
		b := asTheyAre(args, result)
		b.Nullable = false
		return b, nil
	}
}

func typesOf(args []kernel.Expr) []types.Type {
	ts := make([]types.Type, len(args))
	for i, a := range args {
		ts[i] = a.Type()
	}
	return ts
}

// byArrayType makes a kernel of one that has to know its arguments' types: what
// their arrays tell of them.
func byArrayType(of func([]types.Type) kernel.Func) kernel.Func {
	return func(ctx *kernel.Context, rows int, args []kernel.Vector, out types.Type) (kernel.Vector, error) {
		ts := make([]types.Type, len(args))
		for i, a := range args {
			ts[i] = kernel.TypeOf(a)
		}
		return of(ts)(ctx, rows, args, out)
	}
}

func init() {
	register(
		&Function{
			Name: "json_extract", Doc: "The JSON value at a path; of several an array.", MinArgs: 2, MaxArgs: -1,
			Fails: FailsForPatterns,
			Bind:  document(types.TypeJSON, 1), Kernel: kernel.FuncJSONExtract,
		},
		&Function{
			Name: "->", Doc: "The JSON value at a path.", MinArgs: 2, MaxArgs: 2, Infix: true,
			Fails: FailsForPatterns,
			Bind:  document(types.TypeJSON, 1), Kernel: kernel.FuncJSONExtract,
		},
		&Function{
			Name: "->>", Doc: "The JSON value at a path as text.", MinArgs: 2, MaxArgs: 2, Infix: true,
			Fails: FailsForPatterns,
			Bind:  document(types.TypeText, 1), Kernel: kernel.FuncJSONUnquoteExtract,
		},
		&Function{
			Name: "json_unquote", Doc: "A JSON string's text, another value as it is printed.", MinArgs: 1, MaxArgs: 1,
			Bind: func(args []Arg) (Binding, error) {
				t := args[0].Type
				if t.Kind != types.JSON {
					t = textType(args[0])
				}
				return Binding{Args: []types.Type{t}, Result: types.TypeText, Nullable: true}, nil
			},
			Kernel: kernel.FuncJSONUnquote(types.TypeText),
			Build: func(args []kernel.Expr, out types.Type) (kernel.Expr, error) {
				return kernel.Call(kernel.FuncJSONUnquote(args[0].Type()), out, args...), nil
			},
		},
		&Function{
			Name: "json_quote", Doc: "A text as a JSON string.", MinArgs: 1, MaxArgs: 1,
			Bind: withResult(textual("t"), types.TypeText), Kernel: kernel.FuncJSONQuote,
		},
		&Function{
			Name: "json_merge_patch", Doc: "A document changed by others: their members replace, null removes.", MinArgs: 2, MaxArgs: -1,
			Fails: FailsForValues,
			Bind: func(args []Arg) (Binding, error) {
				b, err := documents(len(args))(args)
				b.Result = types.TypeJSON
				return b, err
			},
			Kernel: kernel.FuncJSONMergePatch,
		},
		&Function{
			Name: "json_pretty", Doc: "A JSON value on several lines.", MinArgs: 1, MaxArgs: 1,
			Bind: document(types.TypeText, 1), Kernel: kernel.FuncJSONPretty,
		},
		&Function{
			Name: "json_valid", Doc: "Whether a value is valid JSON.", MinArgs: 1, MaxArgs: 1,
			Bind: func(args []Arg) (Binding, error) {
				b := asTheyAre(args, types.TypeBool)
				if args[0].Type.Kind == types.Null {
					b.Args[0] = types.TypeText
				}
				return b, nil
			},
			Kernel: kernel.FuncJSONValid,
			Build: func(args []kernel.Expr, out types.Type) (kernel.Expr, error) {
				if k := args[0].Type().Kind; isString(k) || k == types.JSON {
					return kernel.Call(kernel.FuncJSONValid, out, args...), nil
				}
				// A value that is no text is no JSON, unless it is not there.
				no, err := kernel.Constant(false, types.TypeBool)
				if err != nil {
					return nil, err
				}
				return kernel.Case([]kernel.When{{Cond: kernel.Call(kernel.FuncIsNotNull, types.TypeBool, args[0]), Then: no}}, nil), nil
			},
			DuckDB: nil,
		},
		&Function{
			Name: "json_length", Doc: "Number of elements or members of a JSON value, perhaps at a path; 1 of a scalar.", MinArgs: 1, MaxArgs: 2,
			Fails: FailsForPatterns,
			Bind:  document(typeInt, 1), Kernel: kernel.FuncJSONLength,
		},
		&Function{
			Name: "json_type", Doc: "OBJECT, ARRAY, STRING, INTEGER, UNSIGNED INTEGER, DOUBLE, BOOLEAN or NULL.", MinArgs: 1, MaxArgs: 1,
			Bind: document(types.TypeText, 1), Kernel: kernel.FuncJSONType,
		},
		&Function{
			Name: "json_keys", Doc: "The names of an object's members, as an array.", MinArgs: 1, MaxArgs: 2,
			Fails: FailsForPatterns,
			Bind:  document(types.TypeJSON, 1), Kernel: kernel.FuncJSONKeys,
		},
		&Function{
			Name: "json_contains_path", Doc: "Whether there is a value at one or all of the paths.", MinArgs: 3, MaxArgs: -1,
			Fails: FailsForPatterns,
			Bind:  document(types.TypeBool, 2), Kernel: kernel.FuncJSONContainsPath,
		},
		&Function{
			Name: "json_contains", Doc: "Whether a JSON value, perhaps at a path, contains another.", MinArgs: 2, MaxArgs: 3,
			Fails: FailsForPatterns,
			Bind:  documents(2), Kernel: kernel.FuncJSONContains,
		},
		&Function{
			Name: "json_overlaps", Doc: "Whether two JSON values have an element or a member in common, or are equal.", MinArgs: 2, MaxArgs: 2,
			Bind: documents(2), Kernel: kernel.FuncJSONOverlaps,
		},
		&Function{
			Name: "json_value", Doc: "The scalar at a path as text.", MinArgs: 2, MaxArgs: 2,
			Fails: FailsForPatterns,
			Bind:  document(types.TypeText, 1), Kernel: kernel.FuncJSONValue,
		},
		&Function{
			Name: "split", Doc: "A JSON array of the texts between separators.", MinArgs: 2, MaxArgs: 2,
			Bind: func(args []Arg) (Binding, error) {
				return Binding{Args: []types.Type{textType(args[0]), textType(args[1])}, Result: types.TypeJSON, Nullable: true}, nil
			},
			Kernel: kernel.FuncSplit,
		},
		&Function{
			Name: "leat_zip", Doc: "A JSON array of arrays that have an element of each argument: what UNNEST of several arrays walks over.", MinArgs: 1, MaxArgs: 64,
			Fails: FailsForValues,
			Bind: func(args []Arg) (Binding, error) {
				b := Binding{Result: types.TypeJSON}
				for range args {
					b.Args = append(b.Args, types.TypeJSON)
				}
				return b, nil
			},
			Kernel: kernel.FuncZip,
		},
		&Function{
			Name: "json_array", Doc: "A JSON array of the arguments.", MinArgs: 0, MaxArgs: -1,
			Bind: asGiven(printedJSON), Kernel: byArrayType(kernel.FuncJSONArray),
			Build: func(args []kernel.Expr, out types.Type) (kernel.Expr, error) {
				return kernel.Call(kernel.FuncJSONArray(typesOf(args)), out, args...), nil
			},
		},
		&Function{
			Name: "json_object", Doc: "A JSON object of names and values in turn.", MinArgs: 0, MaxArgs: -1,
			Fails: FailsForValues,
			Bind: func(args []Arg) (Binding, error) {
				b, err := asGiven(printedJSON)(args)
				if len(args)%2 != 0 {
					return b, sqlerror.Userf(sqlerror.CodeType, "names and values must come in pairs")
				}
				for i := 0; i < len(args); i += 2 {
					b.Args[i] = textType(args[i])
				}
				return b, err
			},
			Kernel: byArrayType(kernel.FuncJSONObject),
			Build: func(args []kernel.Expr, out types.Type) (kernel.Expr, error) {
				return kernel.Call(kernel.FuncJSONObject(typesOf(args)), out, args...), nil
			},
		},
	)
}
