package sql

import "strings"

// maxDiffCells bounds the table by which lines are compared.
const maxDiffCells = 1 << 20

// Diff shows in which lines two texts differ: each line that only the old one
// has after "- ", each that only the new one has after "+ ", and the line
// before a change after two spaces. It is empty for equal texts.
func Diff(oldText, newText string) string {
	return diffLines(strings.Split(oldText, "\n"), strings.Split(newText, "\n"), nil, nil)
}

// DiffDefinitions shows as Diff does in which lines the normal forms of two
// definitions differ, with the values of options for which redact is true
// shown as '***', also where they are what differs. It is empty for
// definitions that mean the same.
func DiffDefinitions(oldDef, newDef Definition, redact func(option string) bool) string {
	a, b := oldDef.Normal(), newDef.Normal()
	if a == b {
		return ""
	}
	return diffLines(strings.Split(a, "\n"), strings.Split(b, "\n"),
		strings.Split(redactedNormal(oldDef, redact), "\n"), strings.Split(redactedNormal(newDef, redact), "\n"))
}

// redactedNormal is the normal form with secrets hidden; it has the same lines,
// since every option is one line.
func redactedNormal(d Definition, redact func(option string) bool) string {
	p := printer{normal: true, redact: redact}
	switch d := d.(type) {
	case *CreateSource:
		p.source(d)
	case *CreateSink:
		p.sink(d)
	case *CreateStream:
		p.stream(d)
	}
	return p.String()
}

// diffLines compares a and b line by line and prints the lines shownA and shownB
// in their place, where these are given.
func diffLines(a, b, shownA, shownB []string) string {
	if shownA == nil {
		shownA, shownB = a, b
	}
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	midA, midB := a[head:len(a)-tail], b[head:len(b)-tail]
	if len(midA) == 0 && len(midB) == 0 {
		return ""
	}
	var out strings.Builder
	if head > 0 {
		out.WriteString("  " + shownA[head-1] + "\n")
	}
	length := commonLengths(midA, midB)
	context := true // the line before has been printed
	for i, j := 0, 0; i < len(midA) || j < len(midB); {
		switch {
		case i < len(midA) && j < len(midB) && midA[i] == midB[j]:
			context = false
			i++
			j++
			continue
		case i > 0 && !context:
			out.WriteString("  " + shownA[head+i-1] + "\n")
		}
		context = true
		if i < len(midA) && (j == len(midB) || length == nil || length(i+1, j) >= length(i, j+1)) {
			out.WriteString("- " + shownA[head+i] + "\n")
			i++
		} else {
			out.WriteString("+ " + shownB[head+j] + "\n")
			j++
		}
	}
	return strings.TrimSuffix(out.String(), "\n")
}

// commonLengths gives for the rests a[i:] and b[j:] the length of the longest
// sequence of lines that both have; nil if the texts are too long for that.
func commonLengths(a, b []string) func(i, j int) int {
	if (len(a)+1)*(len(b)+1) > maxDiffCells {
		return nil
	}
	width := len(b) + 1
	cells := make([]int32, (len(a)+1)*width)
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				cells[i*width+j] = cells[(i+1)*width+j+1] + 1
			} else {
				cells[i*width+j] = max(cells[(i+1)*width+j], cells[i*width+j+1])
			}
		}
	}
	return func(i, j int) int { return int(cells[i*width+j]) }
}
