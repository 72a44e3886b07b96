package files

import (
	"path"
	"slices"
	"strings"
)

// advance takes one path component off the rests of a pattern. All rests end
// the pattern, so that their lengths tell them apart.
func advance(states [][]string, name string) [][]string {
	var next [][]string
	reach := func(rest []string) {
		if !slices.ContainsFunc(next, func(r []string) bool { return len(r) == len(rest) }) {
			next = append(next, rest)
		}
	}
	var step func(rest []string)
	step = func(rest []string) {
		if len(rest) == 0 {
			return
		}
		if rest[0] != "**" {
			if ok, _ := path.Match(rest[0], name); ok {
				reach(rest[1:])
			}
			return
		}
		reach(rest) // name is one of the folders that ** stands for
		if len(rest) == 1 {
			reach(rest[1:])
		}
		step(rest[1:]) // ** stands for no folder
	}
	for _, rest := range states {
		step(rest)
	}
	return next
}

// skipped reports whether the name is that of a hidden or unfinished file. A
// pattern that asks for such names by their first letter gets them.
func skipped(name string, states [][]string) bool {
	if strings.HasSuffix(name, ".tmp") {
		return true
	}
	if name[0] != '.' && name[0] != '_' {
		return false
	}
	return !slices.ContainsFunc(states, func(rest []string) bool { return rest[0] != "" && rest[0][0] == name[0] })
}
