package kernel

import (
	"github.com/apache/arrow-go/v18/arrow"

	"github.com/leatdb/leat/sql/types"
)

// TypeOf is the plainest type that a vector's array stands for.
func TypeOf(v Vector) types.Type { return typeOfArray(v.Array, types.TypeText) }

// typeOfArray is the type that an argument's array stands for: out where the
// two have one representation, else the plainest.
func typeOfArray(arr arrow.Array, out types.Type) types.Type {
	if arrow.TypeEqual(arr.DataType(), out.Arrow()) {
		return out
	}
	c, err := types.FromArrow(arrow.Field{Type: arr.DataType()})
	if err != nil {
		return out
	}
	return c.Type
}
