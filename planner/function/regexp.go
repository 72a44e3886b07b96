package function

import (
	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

// matching binds a regular expression function: the pattern is the second
// argument, the match type, where it is given, the one numbered flags. Constant
// ones are checked at once.
func matching(shape string, flags int, result types.Type) func([]Arg) (Binding, error) {
	return func(args []Arg) (Binding, error) {
		b, err := counting(shape, result)(args)
		if err != nil {
			return b, err
		}
		matchType, known := "", true
		if flags < len(args) {
			matchType, known = args[flags].Literal.(string)
		}
		if pattern, ok := args[1].Literal.(string); ok && known {
			if _, err := kernel.CompileRegexp(pattern, matchType); err != nil {
				return b, sqlerror.Userf(sqlerror.CodeType, "%w", err).
					WithHint("regular expressions are those of RE2: without lookaround and backreferences")
			}
		}
		return b, err
	}
}

func init() {
	register(
		&Function{
			Name: "regexp_like", Doc: "Whether a text has a match of a regular expression; the third argument is the match type.",
			Fails:   FailsForPatterns,
			MinArgs: 2, MaxArgs: 3, Infix: true,
			Bind: matching("t", 2, types.TypeBool), Kernel: kernel.FuncRegexpLike, DuckDB: duckTexts(duckRegexpLike),
		},
		&Function{
			Name: "regexp_substr", Doc: "The match of a regular expression: text, pattern, position, occurrence, match type.",
			Fails:   FailsForPatterns,
			MinArgs: 2, MaxArgs: 5,
			Bind: orNull(matching("ttiit", 4, types.TypeText)), Kernel: kernel.FuncRegexpSubstr, DuckDB: duckTexts(duckRegexpSubstr),
		},
		&Function{
			Name: "regexp_instr", Doc: "Position of a regular expression's match: text, pattern, position, occurrence, 1 for its end, match type.",
			Fails:   FailsForPatterns,
			MinArgs: 2, MaxArgs: 6,
			Bind: matching("ttiiit", 5, typeInt), Kernel: kernel.FuncRegexpInstr,
		},
		&Function{
			Name: "regexp_replace", Doc: "Text with matches of a regular expression replaced: text, pattern, replacement, position, occurrence (0 is all), match type.",
			Fails:   FailsForPatterns,
			MinArgs: 3, MaxArgs: 6,
			Bind: matching("tttiit", 5, types.TypeText), Kernel: kernel.FuncRegexpReplace,
		},
	)
}
