package planner

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/leatdb/leat/planner/logical"
	"github.com/leatdb/leat/sql/types"
)

// pushJSONPaths lets a source's decoder extract what the query takes out of JSON
// columns by constant paths of object members, so that the column itself need
// not be built: col->'$.a.b', col->>'$.a.b' and their functions. The same path is
// extracted once.
func pushJSONPaths(o *optimizer, root logical.Node) logical.Node {
	scan := sourceScan(root)
	if scan == nil {
		return root
	}
	grown := *scan
	grown.Columns = slices.Clone(scan.Columns)
	grown.Paths = slices.Clone(scan.Paths)
	root = mapFromTop(root, func(e logical.Expr) (logical.Expr, bool) {
		path, unquote, ok := jsonPathOf(e, scan)
		if !ok {
			return e, false
		}
		for _, p := range grown.Paths {
			if p.Unquote == unquote && slices.Equal(p.Path, path) {
				return column(grown.Columns, p.ID).Ref(), true
			}
		}
		c := logical.OutputColumn{ID: o.newID(), Name: pathText(path, unquote), Type: e.Type()}
		grown.Columns = append(grown.Columns, c)
		grown.Paths = append(grown.Paths, logical.ColumnPath{ID: c.ID, Path: path, Unquote: unquote})
		return c.Ref(), true
	})
	if len(grown.Paths) == len(scan.Paths) {
		return root
	}
	return logical.TransformPlan(root, func(n logical.Node) logical.Node {
		if n == logical.Node(scan) {
			return &grown
		}
		return n
	})
}

// sourceScan is the only scan of a plan, if that is of a source.
func sourceScan(root logical.Node) *logical.Scan {
	var scans []*logical.Scan
	var walk func(n logical.Node)
	walk = func(n logical.Node) {
		if s, ok := n.(*logical.Scan); ok {
			scans = append(scans, s)
		}
		for _, in := range n.Inputs() {
			walk(in)
		}
	}
	walk(root)
	if len(scans) != 1 || scans[0].Kind != logical.RelationSource {
		return nil
	}
	return scans[0]
}

// mapFromTop applies f to expressions of a plan from the top down; below one that
// f has replaced nothing is looked at.
func mapFromTop(root logical.Node, f func(logical.Expr) (logical.Expr, bool)) logical.Node {
	var down func(e logical.Expr) logical.Expr
	down = func(e logical.Expr) logical.Expr {
		if r, ok := f(e); ok {
			return r
		}
		children := e.Children()
		var changed []logical.Expr
		for i, c := range children {
			if r := down(c); r != c {
				if changed == nil {
					changed = slices.Clone(children)
				}
				changed[i] = r
			}
		}
		if changed == nil {
			return e
		}
		return e.WithChildren(changed)
	}
	return logical.TransformPlan(root, func(n logical.Node) logical.Node {
		return logical.MapExprs(n, down)
	})
}

func column(cols []logical.OutputColumn, id logical.ColumnID) logical.OutputColumn {
	for _, c := range cols {
		if c.ID == id {
			return c
		}
	}
	return logical.OutputColumn{}
}

// jsonPathOf recognises a path below a JSON column of the scan.
func jsonPathOf(e logical.Expr, scan *logical.Scan) (path []string, unquote, ok bool) {
	call, isCall := e.(*logical.Call)
	if !isCall {
		return nil, false, false
	}
	switch {
	case call.Func.Name == "json_unquote" && len(call.Args) == 1:
		path, unquoted, ok := jsonPathOf(uncast(call.Args[0]), scan)
		return path, true, ok && !unquoted
	case call.Func.Name == "->>" && len(call.Args) == 2:
		path, ok = extractedPath(call.Args, scan)
		return path, true, ok
	case (call.Func.Name == "json_extract" || call.Func.Name == "->") && len(call.Args) == 2:
		path, ok = extractedPath(call.Args, scan)
		return path, false, ok
	}
	return nil, false, false
}

func extractedPath(args []logical.Expr, scan *logical.Scan) ([]string, bool) {
	lit, ok := uncast(args[1]).(*logical.Literal)
	if !ok {
		return nil, false
	}
	text, ok := lit.Value.(string)
	if !ok {
		return nil, false
	}
	members, ok := memberPath(text)
	if !ok {
		return nil, false
	}
	switch from := args[0].(type) {
	case *logical.Column:
		c := column(scan.Columns, from.ID)
		if c.ID == 0 || c.Type.Kind != types.JSON {
			return nil, false
		}
		if p := scan.Path(c.ID); p != nil {
			return append(slices.Clone(p.Path), members...), !p.Unquote
		}
		return append([]string{c.Name}, members...), true
	case *logical.Call:
		path, unquote, ok := jsonPathOf(from, scan)
		return append(path, members...), ok && !unquote
	}
	return nil, false
}

// uncast looks through a cast that MySQL made by itself.
func uncast(e logical.Expr) logical.Expr {
	if c, ok := e.(*logical.Cast); ok && c.Implicit {
		return c.Arg
	}
	return e
}

// memberPath reads a JSON path of at least one object member and nothing else,
// $.a."b c". Array elements and wildcards are left to the kernel: MySQL also
// finds $.a[0] in a value that is no array.
func memberPath(path string) ([]string, bool) {
	rest, ok := strings.CutPrefix(strings.TrimSpace(path), "$")
	if !ok {
		return nil, false
	}
	var members []string
	for rest != "" {
		if rest, ok = strings.CutPrefix(rest, "."); !ok {
			return nil, false
		}
		var name string
		if strings.HasPrefix(rest, `"`) {
			name, rest, ok = quotedMember(rest)
		} else {
			name, rest, ok = plainMember(rest)
		}
		if !ok || strings.HasPrefix(name, "[") { // connectors.Field.Path would take it for an array element
			return nil, false
		}
		members = append(members, name)
	}
	return members, len(members) > 0
}

func quotedMember(s string) (name, rest string, ok bool) {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			err := json.Unmarshal([]byte(s[:i+1]), &name)
			return name, s[i+1:], err == nil
		}
	}
	return "", "", false
}

// plainMember reads an ECMAScript identifier.
func plainMember(s string) (name, rest string, ok bool) {
	for i, r := range s {
		letter := unicode.IsLetter(r) || r == '_' || r == '$'
		switch {
		case r == utf8.RuneError:
			return "", "", false
		case letter || i > 0 && unicode.IsDigit(r):
			continue
		}
		return s[:i], s[i:], i > 0
	}
	return s, "", s != ""
}

// pathText is a pushed-down path as SQL.
func pathText(path []string, unquote bool) string {
	var b strings.Builder
	b.WriteString(path[0])
	if unquote {
		b.WriteString("->>'$")
	} else {
		b.WriteString("->'$")
	}
	for _, m := range path[1:] {
		b.WriteByte('.')
		if name, rest, ok := plainMember(m); ok && rest == "" && name == m {
			b.WriteString(m)
			continue
		}
		quoted, _ := json.Marshal(m)
		b.WriteString(strings.ReplaceAll(string(quoted), "'", "''"))
	}
	b.WriteByte('\'')
	return b.String()
}
