package chart

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// Lines is a figure of series over a common x axis, such as memory over time.
type Lines struct {
	Title    string
	Subtitle string
	X, Y     string // what the axes show, with the unit
	Series   []Series
}

// Series is one line. Points are drawn by x; where Y is NaN the line breaks.
type Series struct {
	Name   string
	Points []Point
}

// Point is a value at a place.
type Point struct{ X, Y float64 }

// WriteTo writes the figure as SVG. The y axis begins at zero unless a value is
// below. Without any point it is an error.
func (l Lines) WriteTo(w io.Writer) (int64, error) {
	minX, maxX, minY, maxY := math.Inf(1), math.Inf(-1), 0.0, math.Inf(-1)
	for _, s := range l.Series {
		for _, p := range s.Points {
			if math.IsNaN(p.X) || math.IsInf(p.X, 0) || math.IsInf(p.Y, 0) {
				return 0, fmt.Errorf("draw %s: series %s has the point (%v, %v)", l.Title, s.Name, p.X, p.Y)
			}
			minX, maxX = min(minX, p.X), max(maxX, p.X)
			if !math.IsNaN(p.Y) {
				minY, maxY = min(minY, p.Y), max(maxY, p.Y)
			}
		}
	}
	if maxY < minY || maxX < minX {
		return 0, fmt.Errorf("draw %s: there is no point", l.Title)
	}
	var c canvas
	y := c.head(l.Title, l.Subtitle)
	if len(l.Series) > 1 {
		y = l.legend(&c, y)
	}
	ys := ticks(minY, maxY, 5)
	minY, maxY = ys[0], ys[len(ys)-1]
	axis := 0.0
	for _, v := range ys {
		axis = max(axis, textWidth(Number(v)))
	}
	c.text(margin, y+8, "start", `fill="`+faint+`"`, l.Y)
	top, height := y+20, 240.0
	left, right := margin+axis+10, width-margin-textWidth("00000")/2
	bottom := top + height
	if maxX == minX {
		maxX = minX + 1
	}
	atX := func(x float64) float64 { return left + (x-minX)/(maxX-minX)*(right-left) }
	atY := func(v float64) float64 { return bottom - (v-minY)/(maxY-minY)*height }
	for _, v := range ys {
		c.line(left, atY(v), right, atY(v), rule)
		c.text(left-6, atY(v)+4, "end", `fill="`+faint+`"`, Number(v))
	}
	for _, v := range ticks(minX, maxX, 8) {
		if v < minX || v > maxX {
			continue
		}
		c.line(atX(v), bottom, atX(v), bottom+4, faint)
		c.text(atX(v), bottom+17, "middle", `fill="`+faint+`"`, Number(v))
	}
	c.line(left, bottom, right, bottom, faint)
	c.text((left+right)/2, bottom+36, "middle", `fill="`+faint+`"`, l.X)
	for i, s := range l.Series {
		points := slices.Clone(s.Points)
		slices.SortStableFunc(points, func(a, b Point) int {
			switch {
			case a.X < b.X:
				return -1
			case a.X > b.X:
				return 1
			}
			return 0
		})
		var d strings.Builder
		op := byte('M')
		for _, p := range points {
			if math.IsNaN(p.Y) {
				op = 'M'
				continue
			}
			fmt.Fprintf(&d, "%c%s %s", op, num(atX(p.X)), num(atY(p.Y)))
			op = 'L'
		}
		fmt.Fprintf(&c, `<path d="%s" fill="none" stroke="%s" stroke-width="2" stroke-linejoin="round" stroke-linecap="round"/>`+"\n", d.String(), palette[i%len(palette)])
	}
	return write(w, &c, l.Title, bottom+36+margin)
}

// legend names the series beside their colours, and returns the y below.
func (l Lines) legend(c *canvas, y float64) float64 {
	x := margin
	for i, s := range l.Series {
		need := 22 + textWidth(s.Name) + 16
		if x > margin && x+need > width-margin {
			x, y = margin, y+18
		}
		fmt.Fprintf(c, `<rect x="%s" y="%s" width="14" height="4" rx="2" fill="%s"/>`+"\n", num(x), num(y+2), palette[i%len(palette)])
		c.text(x+20, y+8, "start", `fill="`+ink+`"`, s.Name)
		x += need
	}
	return y + 24
}
