package hive

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/leatdb/leat/catalog"
)

// FileName is what the name of a data file tells:
// <stream>-<generation>-<epoch>-<lane>-<n>.<format>. It is never used twice:
// each start of a stream, also of one that is dropped and made anew, has another
// generation, and n counts on through it.
type FileName struct {
	Stream     string // as Safe makes it
	Generation int64
	Epoch      int64
	Lane       int64
	N          int64
}

// Safe is a stream's name as it stands in names of files.
func Safe(stream string) string { return catalog.SafeName(stream, 80) }

// String is the name without an extension.
func (n FileName) String() string {
	return fmt.Sprintf("%s-%d-%d-%d-%d", n.Stream, n.Generation, n.Epoch, n.Lane, n.N)
}

// ParseFileName takes a name apart; ok is false for one that Leat has not given.
func ParseFileName(name string) (n FileName, ok bool) {
	stem, _, found := cutExtension(name)
	if !found {
		return n, false
	}
	for _, field := range []*int64{&n.N, &n.Lane, &n.Epoch, &n.Generation} {
		i := strings.LastIndexByte(stem, '-')
		if i < 1 {
			return n, false
		}
		var err error
		if *field, err = strconv.ParseInt(stem[i+1:], 10, 64); err != nil || *field < 0 {
			return n, false
		}
		stem = stem[:i]
	}
	n.Stream = stem
	return n, true
}

// extensions are those of data files, longer ones first.
var extensions = []struct{ suffix, format, compression string }{
	{".parquet", "parquet", ""},
	{".json.gz", "json", "gzip"}, {".json.zst", "json", "zstd"}, {".json", "json", "none"},
	{".csv.gz", "csv", "gzip"}, {".csv.zst", "csv", "zstd"}, {".csv", "csv", "none"},
}

// Extension is the end of the name of a file, dot included.
func Extension(format, compression string) string {
	i := slices.IndexFunc(extensions, func(e struct{ suffix, format, compression string }) bool {
		return e.format == format && (e.compression == compression || e.compression == "")
	})
	if i < 0 {
		return "." + format
	}
	return extensions[i].suffix
}

func cutExtension(name string) (stem string, extension int, ok bool) {
	for i, e := range extensions {
		if stem, ok := strings.CutSuffix(name, e.suffix); ok {
			return stem, i, true
		}
	}
	return name, 0, false
}

// isData reports whether a key below a table's folder is one of a data file:
// Hive leaves out what begins with "_" or ".".
func isData(rel string) bool {
	_, _, ok := cutExtension(rel)
	return ok && !hidden(rel)
}
