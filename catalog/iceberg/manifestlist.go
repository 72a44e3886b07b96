package iceberg

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/apache/iceberg-go"
	icebergio "github.com/apache/iceberg-go/io"
	"github.com/twmb/avro/ocf"
)

// isManifestList reports whether a file that the library writes is a manifest
// list, by the name that the library gives it.
func isManifestList(name string) bool {
	base := path.Base(name)
	return strings.HasPrefix(base, "snap-") && strings.HasSuffix(base, ".avro")
}

// mendManifestList puts the bounds back into a manifest list that iceberg-go
// 0.7.0 leaves out of it: those that are the empty string, which it writes as
// null. To a reader a partition field without bounds has no values, so whatever
// condition a query has on the field, it would skip the manifest with all its
// files.
func mendManifestList(data []byte, files icebergio.IO) ([]byte, error) {
	manifests, err := iceberg.ReadManifestList(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("read manifest list: %w", err)
	}
	rd, err := ocf.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("read manifest list: %w", err)
	}
	defer rd.Close()
	added, err := strconv.ParseInt(string(rd.Metadata()["snapshot-id"]), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("read snapshot id of manifest list: %w", err)
	}
	missing := make([][]bool, len(manifests))
	found := false
	for i, m := range manifests {
		// The others were mended when they were new.
		if m.SnapshotID() != added {
			continue
		}
		if missing[i], err = emptyBounds(m, files); err != nil {
			return nil, fmt.Errorf("find bounds of manifest %s: %w", m.FilePath(), err)
		}
		found = found || slices.Contains(missing[i], true)
	}
	if !found {
		return data, nil
	}
	return withEmptyBounds(rd, missing)
}

// emptyBounds tells for each partition field of a manifest whether one of its
// bounds is missing although the field has values, which are then empty.
func emptyBounds(m iceberg.ManifestFile, files icebergio.IO) ([]bool, error) {
	missing := make([]bool, len(m.Partitions()))
	unclear := false
	for i, f := range m.Partitions() {
		onlyNaN := f.ContainsNaN != nil && *f.ContainsNaN
		switch {
		case f.LowerBound != nil || onlyNaN:
		case f.UpperBound != nil || !f.ContainsNull:
			missing[i] = true
		default:
			unclear = true // NULL alone, or NULL and empty values
		}
	}
	if !unclear {
		return missing, nil
	}
	file, err := files.Open(m.FilePath())
	if err != nil {
		return nil, err
	}
	defer file.Close()
	rd, err := iceberg.NewManifestReader(m, file)
	if err != nil {
		return nil, err
	}
	defer rd.Close()
	spec, err := rd.PartitionSpec()
	if err != nil {
		return nil, err
	}
	for {
		entry, err := rd.ReadEntry()
		if errors.Is(err, io.EOF) {
			return missing, nil
		}
		if err != nil {
			return nil, err
		}
		values := entry.DataFile().Partition()
		for i := range missing {
			switch v := values[spec.Field(i).FieldID].(type) {
			case string:
				missing[i] = missing[i] || v == ""
			case []byte:
				missing[i] = missing[i] || len(v) == 0
			}
		}
	}
}

// withEmptyBounds copies a manifest list. Bounds of the fields in missing that
// are null become empty.
func withEmptyBounds(rd *ocf.Reader, missing [][]bool) ([]byte, error) {
	metadata := maps.Clone(rd.Metadata())
	schema := string(metadata["avro.schema"])
	maps.DeleteFunc(metadata, func(key string, _ []byte) bool { return strings.HasPrefix(key, "avro.") })
	var out bytes.Buffer
	w, err := ocf.NewWriter(&out, rd.Schema(), ocf.WithSchema(schema), ocf.WithMetadata(metadata), ocf.WithCodec(ocf.DeflateCodec(-1)))
	if err != nil {
		return nil, fmt.Errorf("write manifest list: %w", err)
	}
	for _, fields := range missing {
		var manifest map[string]any
		if err := rd.Decode(&manifest); err != nil {
			return nil, fmt.Errorf("read manifest list: %w", err)
		}
		summaries, _ := manifest["partitions"].([]any)
		for i, m := range fields {
			if !m {
				continue
			}
			if i >= len(summaries) {
				return nil, fmt.Errorf("manifest list has %d partition fields, expected %d", len(summaries), len(fields))
			}
			summary, _ := summaries[i].(map[string]any)
			for _, bound := range []string{"lower_bound", "upper_bound"} {
				if summary[bound] == nil {
					summary[bound] = []byte{}
				}
			}
		}
		if err := w.Encode(manifest); err != nil {
			return nil, fmt.Errorf("write manifest list: %w", err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("write manifest list: %w", err)
	}
	return out.Bytes(), nil
}
