package adhoc

import (
	"fmt"
	"slices"
	"strings"

	"github.com/leatdb/leat/catalog"
	"github.com/leatdb/leat/planner/function"
	"github.com/leatdb/leat/sql/types"
)

// readNamed spells the reading of a plain folder's data files, given their local
// paths. Columns are found by name: what a file does not have is NULL. Values
// that stand in a file's path are looked up by the file's place in the list.
func readNamed(t catalog.Table, columns []tableColumn, files []catalog.DataFile, paths []string) (string, error) {
	if len(files) == 0 {
		return noRows(t, columns), nil
	}
	type kind struct{ format, compression, header, anyCase, delimiter, null, skip string }
	var kinds []kind
	groups := map[kind][]int{}
	for i, f := range files {
		o := f.Options
		k := kind{f.Format, f.Compression, o["header"], o[catalog.OptionAnyCase], o[catalog.OptionDelimiter], o[catalog.OptionNullText], o[catalog.OptionSkipLines]}
		if groups[k] == nil {
			kinds = append(kinds, k)
		}
		groups[k] = append(groups[k], i)
	}
	parts := make([]string, len(kinds))
	for i, k := range kinds {
		g := folderGroup{table: t, columns: columns, format: k.format, compression: k.compression, header: k.header,
			anyCase: k.anyCase == "true", delimiter: k.delimiter, null: k.null, skip: k.skip}
		for _, file := range groups[k] {
			g.files, g.paths = append(g.files, files[file]), append(g.paths, paths[file])
		}
		var err error
		if parts[i], err = g.spell(); err != nil {
			return "", err
		}
	}
	return strings.Join(parts, " UNION ALL "), nil
}

// folderGroup is files that one table function reads.
type folderGroup struct {
	table                       catalog.Table
	columns                     []tableColumn
	format, compression, header string
	anyCase                     bool   // of JSON: names of members are found in any case
	delimiter, null, skip       string // of delimited text
	files                       []catalog.DataFile
	paths                       []string
}

// inPath reports whether a column is in the files' paths.
func (g *folderGroup) inPath(column int) bool {
	return slices.Contains(g.table.PartitionColumns(), column)
}

func (g *folderGroup) spell() (string, error) {
	schema := g.table.Schema()
	items := make([]string, len(g.columns))
	for i, c := range g.columns {
		item, err := g.item(c.index, schema[c.index])
		if err != nil {
			return "", err
		}
		items[i] = item + " AS " + c.name
	}
	if len(items) == 0 {
		items = []string{"1 AS nothing"}
	}
	from, err := g.from(schema)
	if err != nil {
		return "", err
	}
	return "SELECT " + strings.Join(items, ", ") + " FROM " + from, nil
}

// item is a column as its declared type.
func (g *folderGroup) item(index int, c types.Column) (string, error) {
	declared := function.DuckDBType(c.Type)
	if !g.inPath(index) {
		switch {
		case g.format == catalog.FormatDelimited:
			return g.field(index, c), nil
		case g.format == "json" && g.anyCase:
			return member(c), nil
		}
		if c.Type.Kind == types.Binary && g.format != "parquet" {
			return "from_base64(" + quoteName(c.Name) + ")", nil
		}
		return "CAST(" + quoteName(c.Name) + " AS " + declared + ")", nil
	}
	values := make([]string, len(g.files))
	same := true
	for i, f := range g.files {
		sql, err := literal(f.Constants[index], c.Type)
		if err != nil {
			return "", fmt.Errorf("file %s: column %s: %w", f.Path, c.Name, err)
		}
		values[i] = sql
		same = same && sql == values[0]
	}
	if same {
		return "CAST(" + values[0] + " AS " + declared + ")", nil
	}
	return "CAST([" + strings.Join(values, ", ") + "] AS " + declared + "[])[CAST(file_index AS BIGINT) + 1]", nil
}

// field is a column of delimited text, of which line is read.
func (g *folderGroup) field(index int, c types.Column) string {
	place := 1
	for i := range index {
		if !g.inPath(i) {
			place++
		}
	}
	text := fmt.Sprintf("nullif(string_split(line, %s)[%d], %s)", quoteText(g.delimiter), place, quoteText(g.null))
	switch c.Type.Kind {
	case types.String:
		return text
	case types.Binary:
		return "from_base64(" + text + ")"
	}
	return "TRY_CAST(" + text + " AS " + function.DuckDBType(c.Type) + ")"
}

// member is a column of the object that is read as json, whatever the case of its
// name there. Looking it up by the name as it is comes first, since it costs less.
func member(c types.Column) string {
	name := quoteText(strings.ToLower(c.Name))
	text := "COALESCE(json_extract_string(json, " + name + "), json_extract_string(json, list_filter(json_keys(json), lambda k: lower(k) = " + name + ")[1]))"
	if c.Type.Kind == types.Binary {
		return "from_base64(" + text + ")"
	}
	return "CAST(" + text + " AS " + function.DuckDBType(c.Type) + ")"
}

// from is the table function over the files.
func (g *folderGroup) from(schema types.Schema) (string, error) {
	if i := schema.Index("file_index"); i >= 0 {
		return "", unsupported("column file_index of table %s hides the number of the file", g.table.Name())
	}
	quoted := make([]string, len(g.paths))
	for i, p := range g.paths {
		quoted[i] = quoteText(escapeGlob(p))
	}
	list := "[" + strings.Join(quoted, ", ") + "]"
	var declared []string
	for i, c := range schema {
		if g.inPath(i) {
			continue
		}
		switch g.format {
		case "parquet":
			declared = append(declared, "NULL::"+storedType(c.Type)+" AS "+quoteName(c.Name))
		default:
			declared = append(declared, quoteText(c.Name)+": "+quoteText(textType(c.Type, g.format)))
		}
	}
	columns := strings.Join(declared, ", ")
	compression := g.compression
	if compression == "none" {
		compression = "uncompressed"
	}
	switch g.format {
	case "parquet":
		// The first part has no rows and all columns.
		return "(SELECT " + columns + ", NULL::UBIGINT AS file_index WHERE FALSE UNION ALL BY NAME SELECT *, file_index FROM read_parquet(" +
			list + ", union_by_name = true, hive_partitioning = false))", nil
	case catalog.FormatDelimited:
		// The delimiter of the reader is one that no line has.
		return fmt.Sprintf("(SELECT *, file_index FROM read_csv(%s, auto_detect = false, header = false, skip = %s, compression = '%s', delim = chr(1) || chr(2) || chr(3), quote = '', escape = '', "+
			"nullstr = chr(1), strict_mode = false, parallel = false, columns = {'line': 'VARCHAR'}, max_line_size = %d, buffer_size = %[4]d, hive_partitioning = false))",
			list, g.skip, compression, maxObjectBytes), nil
	case "json":
		if g.anyCase {
			return fmt.Sprintf("(SELECT json, file_index FROM read_json(%s, format = 'newline_delimited', records = 'false', compression = '%s', columns = {'json': 'JSON'}, maximum_object_size = %d, hive_partitioning = false))",
				list, compression, maxObjectBytes), nil
		}
		return fmt.Sprintf("(SELECT *, file_index FROM read_json(%s, format = 'newline_delimited', compression = '%s', columns = {%s}, maximum_object_size = %d, hive_partitioning = false))",
			list, compression, columns, maxObjectBytes), nil
	case "csv":
		return fmt.Sprintf("(SELECT *, file_index FROM read_csv(%s, auto_detect = false, header = %s, compression = '%s', delim = ',', quote = '\"', escape = '\"', nullstr = '', "+
			"allow_quoted_nulls = false, null_padding = true, parallel = false, columns = {%s}, max_line_size = %d, buffer_size = %[5]d, hive_partitioning = false))",
			list, g.header, compression, columns, maxObjectBytes), nil
	}
	return "", unsupported("data files of table %s are %s", g.table.Name(), g.format)
}

// maxObjectBytes bounds one row of a text file.
const maxObjectBytes = 16 << 20

// storedType is how a Parquet file that Leat has written holds a type.
func storedType(t types.Type) string {
	switch t.Kind {
	case types.Int8, types.Int16, types.Uint8, types.Uint16:
		return "INTEGER"
	case types.Uint32:
		return "BIGINT"
	case types.Uint64:
		return "DECIMAL(20,0)"
	}
	return function.DuckDBType(t)
}

// textType is the type that a text file's column is read as.
func textType(t types.Type, format string) string {
	switch t.Kind {
	case types.Binary:
		return "VARCHAR"
	case types.JSON:
		if format == "json" {
			return "JSON" // the value itself, not a string
		}
		return "VARCHAR"
	}
	return function.DuckDBType(t)
}

func quoteName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
