// Package chart draws the figures of the benchmarks as SVG files that need
// nothing beside them: no script, no font, no style sheet. They are drawn on a
// ground of their own, so that they can be read on light and dark pages.
package chart

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	width  = 760.0
	margin = 16.0
	font   = 12.0 // size of labels
	glyph  = 6.7  // about the width of a character

	lineLength = 104 // characters that fit between the margins, more or less
)

// The first colour is for what the figure is about, grey for what it is
// compared with. The others can be told apart by most people who see few
// colours (after Okabe and Ito).
const (
	ground    = "#ffffff"
	ink       = "#24292f"
	faint     = "#57606a"
	rule      = "#d8dee4"
	highlight = "#0072b2"
	plain     = "#b8c0c8"
)

var palette = [...]string{highlight, "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#6e4fa3", "#7f7f7f"}

// canvas collects the elements of a figure, whose height is known at the end.
type canvas struct {
	strings.Builder
}

func (c *canvas) text(x, y float64, anchor, style, s string) {
	fmt.Fprintf(c, `<text x="%s" y="%s" text-anchor="%s" %s>%s</text>`+"\n", num(x), num(y), anchor, style, escape(s))
}

func (c *canvas) line(x1, y1, x2, y2 float64, colour string) {
	fmt.Fprintf(c, `<line x1="%s" y1="%s" x2="%s" y2="%s" stroke="%s"/>`+"\n", num(x1), num(y1), num(x2), num(y2), colour)
}

// head writes title and subtitle and returns the y below them.
func (c *canvas) head(title, subtitle string) float64 {
	y := margin + 14
	c.text(margin, y, "start", `font-size="16" font-weight="600" fill="`+ink+`"`, title)
	for _, line := range wrap(subtitle, lineLength) {
		y += 18
		c.text(margin, y, "start", `fill="`+faint+`"`, line)
	}
	return y + 14
}

// writeTo writes the figure.
func (c *canvas) writeTo(w io.Writer, title string, height float64) error {
	_, err := fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %[1]s %[2]s" width="%[1]s" height="%[2]s" role="img" font-family="system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif" font-size="%[3]s">
<title>%[4]s</title>
<rect width="100%%" height="100%%" rx="6" fill="%[5]s"/>
%[6]s</svg>
`, num(width), num(height), num(font), escape(title), ground, c.String())
	if err != nil {
		return fmt.Errorf("write chart: %w", err)
	}
	return nil
}

// num is a coordinate: a tenth of a pixel is enough.
func num(f float64) string { return strconv.FormatFloat(math.Round(f*10)/10, 'f', -1, 64) }

var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;")

func escape(s string) string { return escaper.Replace(s) }

func textWidth(s string) float64 { return glyph * float64(utf8.RuneCountInString(s)) }

// wrap breaks text at spaces into lines of at most n characters.
func wrap(s string, n int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(s) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > n:
			lines, line = append(lines, line), word
		default:
			line += " " + word
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

// ticks are round values from 0 or below lo up to hi or just above it, about n
// of them.
func ticks(lo, hi float64, n int) []float64 {
	if !(hi > lo) || math.IsInf(hi, 0) || math.IsInf(lo, 0) {
		hi = lo + 1
	}
	step := math.Pow(10, math.Floor(math.Log10((hi-lo)/float64(n))))
	for _, m := range []float64{1, 2, 5, 10} {
		if step*m*float64(n) >= hi-lo {
			step *= m
			break
		}
	}
	first := math.Floor(lo / step)
	var at []float64
	for i := first; ; i++ {
		at = append(at, i*step)
		if i*step >= hi {
			return at
		}
	}
}

// Number is a value as the figures show it: three digits that count, thousands
// apart.
func Number(f float64) string {
	a := math.Abs(f)
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0):
		return "–"
	case a == 0:
		return "0"
	case a >= 100:
		return thousands(int64(math.Round(f)))
	default:
		digits := min(max(2-int(math.Floor(math.Log10(a))), 0), 9)
		s := strconv.FormatFloat(f, 'f', digits, 64)
		if strings.Contains(s, ".") {
			s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
		}
		return s
	}
}

func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	first := 0
	if n < 0 {
		first = 1
	}
	for i := len(s) - 3; i > first; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
