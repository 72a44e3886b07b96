package function

import (
	"slices"

	"github.com/leatdb/leat/engine/kernel"
	"github.com/leatdb/leat/sql/types"
)

// bindInterval compares BIGINTs as such and anything else as DOUBLEs.
func bindInterval(args []Arg) (Binding, error) {
	t := types.TypeInt64
	for _, a := range args {
		if k := a.Type.Kind; k != types.Null && k != types.Bool && (!k.IsInteger() || k == types.Uint64) {
			t = types.TypeFloat64
		}
	}
	return Binding{Args: slices.Repeat([]types.Type{t}, len(args)), Result: types.TypeInt64}, nil
}

// bindFormat prints numbers that are exact exactly.
func bindFormat(args []Arg) (Binding, error) {
	t := numeric(args[0])
	if t.Kind != types.Float64 {
		t = asDecimal(args[0])
	}
	return Binding{Args: []types.Type{t, types.TypeInt64}, Result: types.TypeText, Nullable: anyNullable(args)}, nil
}

// bindAddress is INET_NTOA's: of a signed number it has to know the sign.
func bindAddress(args []Arg) (Binding, error) {
	t := types.TypeInt64
	if args[0].Type.Kind == types.Uint64 {
		t = types.TypeUint64
	}
	return Binding{Args: []types.Type{t}, Result: types.TypeText, Nullable: true}, nil
}

func init() {
	register(
		&Function{
			Name: "interval", Doc: "How many of the ascending numbers behind the first are not above it.", MinArgs: 2, MaxArgs: -1,
			Bind: bindInterval, Kernel: kernel.FuncInterval,
		},
		&Function{
			Name: "format", Doc: "Number with commas between thousands, rounded to so many digits.", MinArgs: 2, MaxArgs: 2,
			Bind: bindFormat, Kernel: kernel.FuncFormat, Build: buildUnrounded(kernel.FuncFormat),
		},
		&Function{
			Name: "quote", Doc: "Text as a literal of SQL.", MinArgs: 1, MaxArgs: 1,
			Bind: func(args []Arg) (Binding, error) {
				return Binding{Args: []types.Type{types.TypeText}, Result: types.TypeText}, nil
			},
			Kernel: kernel.FuncQuote,
		},
		&Function{
			Name: "inet_aton", Doc: "Number of an IPv4 address.", MinArgs: 1, MaxArgs: 1,
			Bind: orNull(strict(types.TypeUint64, types.TypeText)), Kernel: kernel.FuncInetAton,
		},
		&Function{
			Name: "inet_ntoa", Doc: "IPv4 address of a number.", MinArgs: 1, MaxArgs: 1,
			Bind: bindAddress, Kernel: kernel.FuncInetNtoa,
		},
	)
}
