package datagen

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/sql/types"
)

// choice is one choice as it is written: its text and its weight.
type choice struct {
	text   string
	weight float64
}

// parseChoices takes 'a,b' or 'a:5,b:1' apart; a backslash takes the next
// character as it is.
func parseChoices(text string) ([]choice, error) {
	var list []choice
	var b strings.Builder
	var weight *strings.Builder
	end := func() error {
		c := choice{text: strings.TrimSpace(b.String()), weight: 1}
		if weight != nil {
			w, err := strconv.ParseFloat(strings.TrimSpace(weight.String()), 64)
			if err != nil || !(w >= 0) || math.IsInf(w, 0) {
				return fmt.Errorf("%q is no weight of %q; a colon within a choice takes a backslash", weight.String(), c.text)
			}
			c.weight = w
		}
		list = append(list, c)
		b.Reset()
		weight = nil
		return nil
	}
	for i := 0; i < len(text); i++ {
		to := &b
		if weight != nil {
			to = weight
		}
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text):
			i++
			to.WriteByte(text[i])
		case c == ',':
			if err := end(); err != nil {
				return nil, err
			}
		case c == ':' && weight == nil:
			weight = &strings.Builder{}
		default:
			to.WriteByte(c)
		}
	}
	if err := end(); err != nil {
		return nil, err
	}
	var sum float64
	for _, c := range list {
		sum += c.weight
	}
	if sum <= 0 || math.IsInf(sum, 0) {
		return nil, fmt.Errorf("the weights must have a sum above 0")
	}
	return list, nil
}

func escapeChoices(list []string) string {
	escape := strings.NewReplacer(`\`, `\\`, `,`, `\,`, `:`, `\:`)
	escaped := make([]string, len(list))
	for i, s := range list {
		escaped[i] = escape.Replace(s)
	}
	return strings.Join(escaped, ",")
}

func (n *node) choice(f field, t types.Type) (field, error) {
	if err := n.allow("choices", "skew"); err != nil {
		return f, err
	}
	if err := n.skewed(&f); err != nil {
		return f, err
	}
	list, err := parseChoices(n.props["choices"])
	if err != nil {
		return f, n.errorf("choices", "%w", err)
	}
	f.kind = kindChoice
	weights := make([]float64, len(list))
	for i, c := range list {
		weights[i] = c.weight * math.Pow(float64(i+1), -f.skew)
		value, err := literal(c.text, t)
		if err != nil {
			return f, n.errorf("choices", "%w", err)
		}
		f.choices = append(f.choices, value)
	}
	f.alias = newAlias(weights)
	return f, nil
}

// literal is a choice as JSON.
func literal(text string, t types.Type) ([]byte, error) {
	switch {
	case t.Kind == types.Bool:
		v, err := connectors.ParseBool(text)
		return strconv.AppendBool(nil, v), err
	case t.Kind.IsNumeric():
		if !json.Valid([]byte(text)) || strings.ContainsAny(text, `"[{tfn`) {
			return nil, fmt.Errorf("%q is no number", text)
		}
		return []byte(text), nil
	}
	return json.Marshal(text)
}
