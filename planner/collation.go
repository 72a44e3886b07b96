package planner

import (
	"encoding/binary"
	"strings"

	gms "github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/go-mysql-server/sql/expression"
	gmsfunction "github.com/dolthub/go-mysql-server/sql/expression/function"

	"github.com/leatdb/leat/planner/logical"
	"github.com/leatdb/leat/sql/sqlerror"
	"github.com/leatdb/leat/sql/types"
)

// collationOf is the collation that an expression asks for, other than by bytes:
// itself or, of a column, where it was computed.
func (l *lowerer) collationOf(e gms.Expression, s *scope) (id gms.CollationID, ok bool) {
	switch e := e.(type) {
	case *expression.Alias:
		return l.collationOf(e.Child, s)
	case *expression.CollatedExpression:
		id, _ = e.CollationCoercibility(l.ctx)
		return id, !bytewise(e)
	case *expression.DistinctExpression:
		return l.collationOf(e.Child, s)
	case *innerOperand:
		return l.collationOf(e.Expression, s)
	case *expression.GetField:
		if s != nil {
			c, found := s.resolve(e)
			return c.collation, found && c.collation != 0
		}
	}
	return 0, false
}

// bytesOnly refuses an operator that compares text by its bytes where another
// collation is asked for.
func (l *lowerer) bytesOnly(what string, s *scope, exprs ...gms.Expression) error {
	for _, e := range exprs {
		if id, ok := l.collationOf(e, s); ok {
			return collationRefused(what, id)
		}
	}
	return nil
}

// distinctBytes refuses to tell rows apart that have a column of another collation.
func distinctBytes(what string, s *scope) error {
	for _, c := range s.cols {
		if c.collation != 0 {
			return collationRefused(what, c.collation)
		}
	}
	return nil
}

func collationRefused(what string, id gms.CollationID) error {
	return sqlerror.Userf(sqlerror.CodeUnsupported, "%s does not know collation %s: it compares text by its bytes", what, id.Name()).
		WithHint("compare LOWER(…) instead")
}

// sortable is an expression as ORDER BY compares it: text of another collation than
// by bytes by the weights of its characters.
func (l *lowerer) sortable(e gms.Expression, s *scope) (logical.Expr, error) {
	lowered, err := l.expr(e, s)
	if err != nil {
		return nil, err
	}
	if lowered.Type().Kind == types.JSON {
		return jsonOrder(lowered), nil
	}
	id, ok := l.collationOf(e, s)
	if !ok {
		return lowered, nil
	}
	weight, padded := id.Sorter(), id.PadAttribute() == "PAD SPACE"
	if weight == nil {
		return nil, collationRefused("ORDER BY", id)
	}
	key := func(row []any) (any, error) {
		text, ok := row[0].(string)
		if !ok {
			return nil, nil
		}
		if padded {
			text = strings.TrimRight(text, " ")
		}
		weights := make([]byte, 0, 4*len(text))
		for _, r := range text {
			weights = binary.BigEndian.AppendUint32(weights, uint32(weight(r))^1<<31)
		}
		return weights, nil
	}
	return &logical.RowFunc{
		Name: "weights", Args: []logical.Expr{coerce(lowered, types.TypeText)}, T: types.TypeBlob,
		New:      func() func([]any) (any, error) { return key },
		Spelling: "(" + logical.OperandMark(0) + " COLLATE " + id.Name() + ")",
	}, nil
}

// charsetOf is CHARSET or COLLATION, which a type tells.
func (l *lowerer) charsetOf(e gms.Expression, s *scope) (logical.Expr, error) {
	operand := e.Children()[0]
	arg, err := l.expr(operand, s)
	if err != nil {
		return nil, err
	}
	charset, collation := "binary", "binary"
	switch arg.Type().Kind {
	case types.String:
		charset, collation = "utf8mb4", "utf8mb4_0900_bin"
	case types.JSON:
		charset, collation = "utf8mb4", "utf8mb4_bin"
	}
	if c, ok := operand.(*expression.CollatedExpression); ok {
		id, _ := c.CollationCoercibility(l.ctx)
		charset, collation = id.CharacterSet().Name(), id.Name()
	}
	text := collation
	if _, ok := e.(*gmsfunction.Charset); ok {
		text = charset
	}
	return &logical.Literal{Value: text, T: types.NewVarchar(len(text))}, nil
}
