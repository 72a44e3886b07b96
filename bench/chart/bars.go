package chart

import (
	"fmt"
	"io"
	"math"
	"strings"
)

// Bars is a figure of horizontal bars in groups, all from the same zero.
type Bars struct {
	Title    string
	Subtitle string // what is measured, in which unit, which way is better
	Groups   []Group
}

// Group is bars that are compared with each other.
type Group struct {
	Name string // may be empty
	Bars []Bar
}

// Bar is one value, which must not be negative.
type Bar struct {
	Name  string
	Value float64
	Label string // what is written at its end; "" is Number(Value)
	// Ours are in colour, the others in grey.
	Ours bool
}

// WriteTo writes the figure as SVG. A value below zero, or that is no number, is
// an error.
func (b Bars) WriteTo(w io.Writer) (int64, error) {
	labels, values, top := 0.0, 0.0, 0.0
	for _, g := range b.Groups {
		for _, bar := range g.Bars {
			if !(bar.Value >= 0) || math.IsInf(bar.Value, 0) {
				return 0, fmt.Errorf("draw %s: bar %s of %s is %v, which is no length", b.Title, bar.Name, g.Name, bar.Value)
			}
			labels = max(labels, textWidth(bar.Name))
			values = max(values, textWidth(bar.label()))
			top = max(top, bar.Value)
		}
	}
	if top == 0 {
		top = 1
	}
	var c canvas
	y := c.head(b.Title, b.Subtitle)
	left := margin + labels + 10
	scale := (width - left - margin - values - 8) / top
	const thick, gap = 18.0, 5.0
	for i, g := range b.Groups {
		if i > 0 {
			y += 8
		}
		if g.Name != "" {
			c.text(margin, y+12, "start", `font-weight="600" fill="`+ink+`"`, g.Name)
			y += 22
		}
		begun := y
		for _, bar := range g.Bars {
			colour, weight := plain, ""
			if bar.Ours {
				colour, weight = highlight, `font-weight="600" `
			}
			length := max(bar.Value*scale, 1)
			c.text(left-8, y+13, "end", weight+`fill="`+ink+`"`, bar.Name)
			fmt.Fprintf(&c, `<rect x="%s" y="%s" width="%s" height="%s" rx="2" fill="%s"/>`+"\n", num(left), num(y), num(length), num(thick), colour)
			c.text(left+length+6, y+13, "start", weight+`fill="`+ink+`"`, bar.label())
			y += thick + gap
		}
		c.line(left, begun-2, left, y-gap+2, faint)
	}
	return write(w, &c, b.Title, y+margin-gap)
}

func (b Bar) label() string {
	if b.Label != "" {
		return b.Label
	}
	return Number(b.Value)
}

func write(w io.Writer, c *canvas, title string, height float64) (int64, error) {
	var out strings.Builder
	if err := c.writeTo(&out, title, height); err != nil {
		return 0, err
	}
	n, err := io.WriteString(w, out.String())
	return int64(n), err
}
