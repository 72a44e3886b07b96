package chart_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/leatdb/leat/bench/chart"
)

// element is one of a figure's.
type element struct {
	name string
	attr map[string]string
	text string
}

// elements parses a figure, which must be well-formed XML.
func elements(t *testing.T, svg []byte) []element {
	t.Helper()
	var list []element
	d := xml.NewDecoder(bytes.NewReader(svg))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatalf("not XML: %v\n%s", err, svg)
		}
		switch token := token.(type) {
		case xml.StartElement:
			e := element{name: token.Name.Local, attr: map[string]string{}}
			for _, a := range token.Attr {
				e.attr[a.Name.Local] = a.Value
			}
			list = append(list, e)
		case xml.CharData:
			if len(list) > 0 {
				list[len(list)-1].text += strings.TrimSpace(string(token))
			}
		}
	}
}

func (e element) number(t *testing.T, attr string) float64 {
	t.Helper()
	f, err := strconv.ParseFloat(e.attr[attr], 64)
	if err != nil {
		t.Fatalf("%s of %s is %q", attr, e.name, e.attr[attr])
	}
	return f
}

func TestBars(t *testing.T) {
	b := chart.Bars{Title: "Speed <&>", Subtitle: strings.Repeat("more is better ", 20), Groups: []chart.Group{
		{Name: "1 core", Bars: []chart.Bar{{Name: "leat", Value: 1000, Ours: true}, {Name: "other", Value: 250}, {Name: "none", Value: 0, Label: "n/a"}}},
		{Name: "2 cores", Bars: []chart.Bar{{Name: "leat", Value: 2000, Ours: true}}},
	}}
	var out bytes.Buffer
	n, err := b.WriteTo(&out)
	if err != nil || n != int64(out.Len()) {
		t.Fatalf("n=%d of %d, err=%v", n, out.Len(), err)
	}
	var lengths []float64
	texts := map[string]bool{}
	var size float64
	for _, e := range elements(t, out.Bytes()) {
		switch {
		case e.name == "svg":
			size = e.number(t, "width")
		case e.name == "rect" && e.attr["height"] == "18":
			lengths = append(lengths, e.number(t, "width"))
			if end := e.number(t, "x") + e.number(t, "width"); end > size {
				t.Errorf("bar ends at %v of %v", end, size)
			}
		case e.name == "text":
			texts[e.text] = true
		}
	}
	if len(lengths) != 4 || math.Abs(lengths[0]/lengths[1]-4) > 0.01 || math.Abs(lengths[3]/lengths[0]-2) > 0.01 {
		t.Errorf("lengths %v, want 4:1:0:8", lengths)
	}
	for _, want := range []string{"Speed <&>", "leat", "other", "1,000", "250", "n/a", "2 cores"} {
		if !texts[want] {
			t.Errorf("no text %q", want)
		}
	}
	b.Groups[0].Bars[0].Value = math.NaN()
	if _, err := b.WriteTo(io.Discard); err == nil {
		t.Error("a bar that is no number was drawn")
	}
}

func TestLines(t *testing.T) {
	l := chart.Lines{Title: "Memory", X: "minutes", Y: "MB", Series: []chart.Series{
		{Name: "leat", Points: []chart.Point{{X: 10, Y: 100}, {X: 0, Y: 0}, {X: 5, Y: 50}}},
		{Name: "gap", Points: []chart.Point{{X: 0, Y: 100}, {X: 5, Y: math.NaN()}, {X: 10, Y: 100}}},
	}}
	var out bytes.Buffer
	if _, err := l.WriteTo(&out); err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, e := range elements(t, out.Bytes()) {
		if e.name == "path" {
			paths = append(paths, e.attr["d"])
		}
	}
	if len(paths) != 2 {
		t.Fatalf("%d paths", len(paths))
	}
	if strings.Count(paths[0], "L") != 2 || strings.Count(paths[1], "M") != 2 || strings.Contains(paths[1], "L") {
		t.Errorf("paths %q", paths)
	}
	// Sorted by x, and the middle one in the middle.
	var x [3]float64
	var y [3]float64
	for i, p := range strings.FieldsFunc(paths[0], func(r rune) bool { return r == 'M' || r == 'L' }) {
		a, b, _ := strings.Cut(p, " ")
		x[i], _ = strconv.ParseFloat(a, 64)
		y[i], _ = strconv.ParseFloat(b, 64)
	}
	if math.Abs(x[0]+x[2]-2*x[1]) > 0.2 || math.Abs(y[0]+y[2]-2*y[1]) > 0.2 || y[0] <= y[2] {
		t.Errorf("x %v, y %v", x, y)
	}
	for _, s := range [][]chart.Series{nil, {{Name: "none"}}, {{Name: "inf", Points: []chart.Point{{X: math.Inf(1)}}}}} {
		if _, err := (chart.Lines{Series: s}).WriteTo(io.Discard); err == nil {
			t.Errorf("%v was drawn", s)
		}
	}
	// One point, and all the same, are no division by zero.
	one := chart.Lines{Series: []chart.Series{{Points: []chart.Point{{X: 3, Y: 0}}}}}
	out.Reset()
	if _, err := one.WriteTo(&out); err != nil || strings.Contains(out.String(), "NaN") {
		t.Errorf("one point: %v\n%s", err, out.String())
	}
}

func TestNumber(t *testing.T) {
	f := func(in float64, want string) {
		t.Helper()
		if got := chart.Number(in); got != want {
			t.Errorf("Number(%v)=%q, want %q", in, got, want)
		}
	}
	f(0, "0")
	f(0.05, "0.05")
	f(1.5, "1.5")
	f(2, "2")
	f(12.345, "12.3")
	f(99.96, "100")
	f(1234567, "1,234,567")
	f(-1234, "-1,234")
	f(math.NaN(), "–")
}
