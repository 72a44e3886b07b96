package sql

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/leatdb/leat/sql/sqlerror"
)

// maxNameLength bounds names, in characters, as MySQL does.
const maxNameLength = 64

// reservedObjects are databases of their own.
var reservedObjects = []string{"leat", "mysql", "sys", "information_schema", "performance_schema"}

// checkName refuses names of anything that MySQL would refuse.
func checkName(what string, name Ident) error {
	bad := func(why string) *sqlerror.Error {
		return sqlerror.Userf(sqlerror.CodeSyntax, "the name of %s %s", what, why).At(name.Pos)
	}
	switch n := utf8.RuneCountInString(name.Name); {
	case n == 0:
		return bad("is empty")
	case n > maxNameLength:
		return bad(fmt.Sprintf("has %d characters; the most is %d", n, maxNameLength))
	case strings.HasSuffix(name.Name, " "):
		return bad("ends with a space")
	case strings.ContainsFunc(name.Name, unicode.IsControl):
		return bad("holds a control character")
	}
	return nil
}

// checkObjectName also refuses what cannot be the name of a source, sink or
// stream: their names become folders, namespaces and property names. That of one that
// is stored may be reserved since.
func checkObjectName(kind Kind, name Ident, stored bool) error {
	what := "a " + string(kind)
	if err := checkName(what, name); err != nil {
		return err
	}
	if !stored && slices.ContainsFunc(reservedObjects, func(r string) bool { return strings.EqualFold(r, name.Name) }) {
		return sqlerror.Userf(sqlerror.CodeSyntax, "%s is a reserved name", strings.ToLower(name.Name)).At(name.Pos).
			WithHint("%s are databases of the server", strings.Join(reservedObjects, ", "))
	}
	if err := checkFolder(what, name); err != nil {
		return err
	}
	if kind == KindSink && strings.Contains(name.Name, ".") {
		return sqlerror.Userf(sqlerror.CodeSyntax, "the name of a sink may not contain a dot").At(name.Pos).
			WithHint("it is the namespace of tables, which are named sink.table")
	}
	return nil
}

// checkTableName refuses names that a lake table cannot have. Those with an
// underscore in front are Leat's own (_dead_letters), and readers of plain
// folders skip them.
func checkTableName(name Ident) error {
	if err := checkName("a table", name); err != nil {
		return err
	}
	if err := checkFolder("a table", name); err != nil {
		return err
	}
	switch {
	case strings.HasPrefix(name.Name, "_"):
		return sqlerror.Userf(sqlerror.CodeSyntax, "the name of a table may not begin with _").At(name.Pos).
			WithHint("readers of lakes skip such folders; give another table in INTO sink.table")
	case strings.Contains(name.Name, "."):
		return sqlerror.Userf(sqlerror.CodeSyntax, "the name of a table may not contain a dot").At(name.Pos).
			WithHint("tables are named sink.table; give another table in INTO sink.table")
	}
	return nil
}

func checkFolder(what string, name Ident) error {
	if i := strings.IndexAny(name.Name, `/\`); i >= 0 {
		return sqlerror.Userf(sqlerror.CodeSyntax, "the name of %s may not contain %c", what, name.Name[i]).At(name.Pos).
			WithHint("the name becomes the name of a folder")
	}
	if strings.HasPrefix(name.Name, ".") {
		return sqlerror.Userf(sqlerror.CodeSyntax, "the name of %s may not begin with a dot", what).At(name.Pos).
			WithHint("the name becomes the name of a folder")
	}
	return nil
}
