package function

import (
	"errors"

	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

// textual binds a function whose arguments are texts (t), integers (i), and
// whose result is text: binary if the first argument is.
func textual(shape string) func([]Arg) (Binding, error) {
	return func(args []Arg) (Binding, error) {
		b := Binding{Result: textResult(args[0]), Nullable: anyNullable(args)}
		for i, a := range args {
			b.Args = append(b.Args, shapeType(shape, i, a))
		}
		return b, nil
	}
}

// counting is textual for functions that give a number.
func counting(shape string, result types.Type) func([]Arg) (Binding, error) {
	return func(args []Arg) (Binding, error) {
		b, err := textual(shape)(args)
		b.Result = result
		return b, err
	}
}

func shapeType(shape string, i int, a Arg) types.Type {
	if shape[min(i, len(shape)-1)] == 'i' {
		return types.TypeInt64
	}
	return textType(a)
}

// withResult changes the result of a binding.
func withResult(bind func([]Arg) (Binding, error), t types.Type) func([]Arg) (Binding, error) {
	return func(args []Arg) (Binding, error) {
		b, err := bind(args)
		b.Result = t
		return b, err
	}
}

func bindConcat(args []Arg) (Binding, error) {
	b, err := textual("t")(args)
	b.Result = textResult(args...)
	return b, err
}

func init() {
	register(
		&Function{
			Name: "concat", Doc: "Texts one after another.", MinArgs: 1, MaxArgs: -1,
			Bind: bindConcat, Kernel: kernel.FuncConcat, DuckDB: duckTexts(duckJoin(" || ")),
		},
		&Function{
			Name: "concat_ws", Doc: "Texts with the first one between them, NULLs left out.", MinArgs: 2, MaxArgs: -1,
			Bind: func(args []Arg) (Binding, error) {
				b, err := bindConcat(args)
				b.Nullable = anyNullable(args[:1])
				return b, err
			},
			Kernel: kernel.FuncConcatWS, DuckDB: duckTexts(duckPlain("concat_ws")),
		},
		&Function{
			Name: "lower", Doc: "Text in lower case.", MinArgs: 1, MaxArgs: 1,
			Bind: textual("t"), Kernel: kernel.FuncLower, DuckDB: duckTexts(duckPlain("lower")),
		},
		&Function{
			// DuckDB makes ẞ of ß, which MySQL leaves as it is.
			Name: "upper", Doc: "Text in upper case.", MinArgs: 1, MaxArgs: 1,
			Bind: textual("t"), Kernel: kernel.FuncUpper,
		},
		&Function{
			Name: "substring", Doc: "Part of a text from a position on (from the end if negative), perhaps of a length.",
			MinArgs: 2, MaxArgs: 3,
			Bind: textual("ti"), Kernel: kernel.FuncSubstring, DuckDB: duckTexts(duckSubstring),
		},
		&Function{
			Name: "left", Doc: "The first characters.", MinArgs: 2, MaxArgs: 2,
			Bind: textual("ti"), Kernel: kernel.FuncLeft, DuckDB: duckTexts(duckFirst("left")),
		},
		&Function{
			Name: "right", Doc: "The last characters.", MinArgs: 2, MaxArgs: 2,
			Bind: textual("ti"), Kernel: kernel.FuncRight, DuckDB: duckTexts(duckFirst("right")),
		},
		&Function{
			Name: "trim", Doc: "Text without spaces, or another text, at its ends; the third argument is LEADING, TRAILING or BOTH.",
			MinArgs: 1, MaxArgs: 3,
			Bind: textual("t"), Kernel: kernel.FuncTrim(true, true),
			Build: func(args []kernel.Expr, out types.Type) (kernel.Expr, error) {
				leading, trailing := true, true
				if len(args) == 3 {
					side, _ := kernel.ConstantValue(args[2])
					switch side {
					case "LEADING", "leading", "l":
						trailing = false
					case "TRAILING", "trailing", "r":
						leading = false
					case "BOTH", "both", "b":
					default:
						return nil, errors.New("the side to trim must be LEADING, TRAILING or BOTH")
					}
					args = args[:2]
				}
				return kernel.Call(kernel.FuncTrim(leading, trailing), out, args...), nil
			},
			DuckDB: duckTexts(duckTrim),
		},
		&Function{
			Name: "ltrim", Doc: "Text without spaces at its beginning.", MinArgs: 1, MaxArgs: 1,
			Bind: textual("t"), Kernel: kernel.FuncTrim(true, false), DuckDB: duckTexts(duckFormat("ltrim(%s, ' ')")),
		},
		&Function{
			Name: "rtrim", Doc: "Text without spaces at its end.", MinArgs: 1, MaxArgs: 1,
			Bind: textual("t"), Kernel: kernel.FuncTrim(false, true), DuckDB: duckTexts(duckFormat("rtrim(%s, ' ')")),
		},
		&Function{
			Name: "length", Doc: "Length in bytes.", MinArgs: 1, MaxArgs: 1,
			Bind: counting("t", typeInt), Kernel: kernel.FuncLength, DuckDB: duckLength,
		},
		&Function{
			Name: "char_length", Doc: "Length in characters.", MinArgs: 1, MaxArgs: 1,
			Bind: counting("t", typeInt), Kernel: kernel.FuncCharLength, DuckDB: duckTexts(duckFormat("CAST(length(%s) AS INTEGER)")),
		},
		&Function{
			Name: "bit_length", Doc: "Length in bits.", MinArgs: 1, MaxArgs: 1,
			Bind: counting("t", types.TypeInt64), Kernel: kernel.FuncBitLength,
		},
		&Function{
			Name: "replace", Doc: "Text with every occurrence of the second argument replaced by the third.", MinArgs: 3, MaxArgs: 3,
			Bind: textual("t"), Kernel: kernel.FuncReplace, DuckDB: duckTexts(duckReplace),
		},
		&Function{
			Name: "substring_index", Doc: "What is before the n-th delimiter, behind the n-th from the end if negative.",
			MinArgs: 3, MaxArgs: 3,
			Bind: textual("tti"), Kernel: kernel.FuncSubstringIndex,
			Build: func(args []kernel.Expr, out types.Type) (kernel.Expr, error) {
				return kernel.SubstringIndex(out, args...), nil
			},
			DuckDB: duckTexts(duckSubstringIndex),
		},
		&Function{
			Name: "lpad", Doc: "Text filled up or cut to a length, at its beginning.", MinArgs: 3, MaxArgs: 3,
			Bind: orNull(textual("tit")), Kernel: kernel.FuncPad(true), DuckDB: duckTexts(duckPad("lpad")),
		},
		&Function{
			Name: "rpad", Doc: "Text filled up or cut to a length, at its end.", MinArgs: 3, MaxArgs: 3,
			Bind: orNull(textual("tit")), Kernel: kernel.FuncPad(false), DuckDB: duckTexts(duckPad("rpad")),
		},
		&Function{
			Name: "reverse", Doc: "Text with its characters in the opposite order.", MinArgs: 1, MaxArgs: 1,
			Bind: textual("t"), Kernel: kernel.FuncReverse,
		},
		&Function{
			Name: "repeat", Doc: "Text so many times.", MinArgs: 2, MaxArgs: 2,
			Bind: orNull(textual("ti")), Kernel: kernel.FuncRepeat,
		},
		&Function{
			Name: "space", Doc: "So many spaces.", MinArgs: 1, MaxArgs: 1,
			Bind: orNull(withResult(textual("i"), types.TypeText)), Kernel: kernel.FuncSpace,
		},
		&Function{
			Name: "insert", Doc: "Text with so many characters from a position on replaced.", MinArgs: 4, MaxArgs: 4,
			Bind: textual("tiit"), Kernel: kernel.FuncInsert,
		},
		&Function{
			Name: "locate", Doc: "Position of the first argument in the second, perhaps from a position on; 0 if it is not there.",
			MinArgs: 2, MaxArgs: 3,
			Bind: counting("tti", typeInt), Kernel: kernel.FuncLocate,
			DuckDB: func(args []string, b Binding) string {
				if len(args) == 3 {
					return ""
				}
				return duckTexts(duckFormat("CAST(instr(%[2]s, %[1]s) AS INTEGER)"))(args, b)
			},
		},
		&Function{
			Name: "instr", Doc: "Position of the second argument in the first, 0 if it is not there.", MinArgs: 2, MaxArgs: 2,
			Bind: counting("t", typeInt),
			Kernel: func(ctx *kernel.Context, rows int, args []kernel.Vector, out types.Type) (kernel.Vector, error) {
				return kernel.FuncLocate(ctx, rows, []kernel.Vector{args[1], args[0]}, out)
			},
			DuckDB: duckTexts(duckFormat("CAST(instr(%s, %s) AS INTEGER)")),
		},
		&Function{
			Name: "ascii", Doc: "The first byte as a number, 0 of an empty text.", MinArgs: 1, MaxArgs: 1,
			Bind: counting("t", typeInt), Kernel: kernel.FuncASCII,
		},
		&Function{
			Name: "ord", Doc: "The bytes of the first character as a number.", MinArgs: 1, MaxArgs: 1,
			Bind: counting("t", types.TypeInt64), Kernel: kernel.FuncOrd,
		},
		&Function{
			Name: "find_in_set", Doc: "Place of the first argument in a list separated by commas, 0 if it is not there.",
			MinArgs: 2, MaxArgs: 2,
			Bind: counting("t", typeInt), Kernel: kernel.FuncFindInSet,
		},
		&Function{
			Name: "hex", Doc: "Hexadecimal digits of a text's bytes or of a number.", MinArgs: 1, MaxArgs: 1,
			Bind: func(args []Arg) (Binding, error) {
				t := textType(args[0])
				if args[0].Type.Kind.IsNumeric() {
					t = integerType(args[0])
				}
				return Binding{Args: []types.Type{t}, Result: types.TypeText, Nullable: args[0].Nullable}, nil
			},
			Kernel: kernel.FuncHex,
			Build: func(args []kernel.Expr, out types.Type) (kernel.Expr, error) {
				if args[0].Type().Kind.IsInteger() {
					return kernel.Call(kernel.FuncHexNumber, out, args...), nil
				}
				return kernel.Call(kernel.FuncHex, out, args...), nil
			},
			DuckDB: func(args []string, b Binding) string {
				if !isString(b.Args[0].Kind) {
					return ""
				}
				return duckPlain("hex")(args, b)
			},
		},
		&Function{
			Name: "bin", Doc: "Binary digits of a number.", MinArgs: 1, MaxArgs: 1,
			Bind: withResult(bindBits(types.TypeText), types.TypeText), Kernel: kernel.FuncBin,
		},
		&Function{
			Name: "oct", Doc: "Octal digits of a number.", MinArgs: 1, MaxArgs: 1,
			Bind: withResult(bindBits(types.TypeText), types.TypeText), Kernel: kernel.FuncOct,
		},
		&Function{
			Name: "aes_encrypt", Doc: "Bytes encrypted with AES-128 in ECB mode, by a key of any length.", MinArgs: 2, MaxArgs: 2,
			Bind: withResult(textual("t"), types.TypeBlob), Kernel: kernel.FuncAESEncrypt,
		},
		&Function{
			Name: "aes_decrypt", Doc: "What AES_ENCRYPT has encrypted, NULL with another key.", MinArgs: 2, MaxArgs: 2,
			Bind: orNull(withResult(textual("t"), types.TypeBlob)), Kernel: kernel.FuncAESDecrypt,
		},
		&Function{
			Name: "conv", Doc: "A number in one base written in another.", MinArgs: 3, MaxArgs: 3,
			Bind: orNull(withResult(textual("tii"), types.TypeText)), Kernel: kernel.FuncConv,
		},
		&Function{
			Name: "unhex", Doc: "The bytes that hexadecimal digits name, NULL if they are none.", MinArgs: 1, MaxArgs: 1,
			Bind: orNull(withResult(textual("t"), types.TypeBlob)), Kernel: kernel.FuncUnhex,
		},
		&Function{
			Name: "md5", Doc: "MD5 sum in hexadecimal digits.", MinArgs: 1, MaxArgs: 1,
			Bind: withResult(textual("t"), types.TypeText), Kernel: kernel.FuncMD5, DuckDB: duckPlain("md5"),
		},
		&Function{
			Name: "sha1", Doc: "SHA-1 sum in hexadecimal digits.", MinArgs: 1, MaxArgs: 1,
			Bind: withResult(textual("t"), types.TypeText), Kernel: kernel.FuncSHA1, DuckDB: duckPlain("sha1"),
		},
		&Function{
			Name: "sha2", Doc: "SHA-2 sum of 224, 256 (also 0), 384 or 512 bits in hexadecimal digits.", MinArgs: 2, MaxArgs: 2,
			Bind: orNull(withResult(textual("ti"), types.TypeText)), Kernel: kernel.FuncSHA2,
			DuckDB: func(args []string, b Binding) string {
				if n, ok := b.Literal(1).(int64); ok && (n == 0 || n == 256) {
					return "sha256(" + args[0] + ")"
				}
				return ""
			},
		},
		&Function{
			Name: "crc32", Doc: "Cyclic redundancy check as a number.", MinArgs: 1, MaxArgs: 1,
			Bind: counting("t", types.TypeUint64), Kernel: kernel.FuncCRC32,
		},
		&Function{
			Name: "to_base64", Doc: "Text in base 64, in lines of 76 characters.", MinArgs: 1, MaxArgs: 1,
			Bind: withResult(textual("t"), types.TypeText), Kernel: kernel.FuncToBase64,
		},
		&Function{
			Name: "from_base64", Doc: "What a text in base 64 says, NULL if it is none.", MinArgs: 1, MaxArgs: 1,
			Bind: orNull(withResult(textual("t"), types.TypeBlob)), Kernel: kernel.FuncFromBase64,
		},
		&Function{
			Name: "like", Doc: "Whether a text matches a pattern with % and _; the third argument is the escape character.",
			Fails:   FailsForPatterns,
			MinArgs: 2, MaxArgs: 3, Infix: true,
			Bind: func(args []Arg) (Binding, error) {
				b, err := counting("t", types.TypeBool)(args)
				if len(args) == 3 {
					if s, ok := args[2].Literal.(string); ok {
						if _, escapeErr := kernel.LikeEscape(s); escapeErr != nil {
							err = sqlerror.Userf(sqlerror.CodeType, "%w", escapeErr)
						}
					}
				}
				return b, err
			},
			Kernel: kernel.FuncLike, DuckDB: duckTexts(duckLike),
		},
	)
}
