package lake

import (
	"fmt"
	"math"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/leatdb/leat/catalog"
)

// router finds the partition of each row. Distinct values of a partition field
// are numbered, then distinct tuples of numbers, so that a row costs a probe of
// a small table and no comparison of keys. Numbers hold for an epoch.
type router struct {
	fields []*keyField
	pairs  []*numberTable // of the tuple so far and the next field's number
	parts  []partition    // by tuple number
	folder func(fields []*keyField, values []any) string

	ids, codes []int32 // per row
	counts     []int32 // per partition; zero between calls
	order      []int32
	groups     []rowGroup
}

// partition is one tuple of partition values.
type partition struct {
	known  bool
	values []any  // as catalog.NewFile.Partition
	path   string // folder, "" for an unpartitioned table
	key    string // tells values from all others
}

// rowGroup is the rows of one batch that belong to a partition.
type rowGroup struct {
	part int32
	rows []int32 // ascending
}

func newRouter(target *catalog.Target) (*router, error) {
	r := &router{folder: partitionPath}
	for _, spec := range target.Spec {
		f, err := newKeyField(spec, target.Columns[spec.Column])
		if err != nil {
			return nil, err
		}
		r.fields = append(r.fields, f)
	}
	r.reset()
	return r, nil
}

// reset forgets all numbers.
func (r *router) reset() {
	r.parts, r.pairs, r.counts = nil, nil, nil
	for i, f := range r.fields {
		f.reset()
		if i > 0 {
			r.pairs = append(r.pairs, newNumberTable())
		}
	}
}

// route groups rows of a batch by partition. What it returns is valid until the
// next call.
func (r *router) route(columns []arrow.Array, rows []int32) ([]rowGroup, error) {
	r.groups = r.groups[:0]
	if len(rows) == 0 {
		return nil, nil
	}
	if len(r.fields) == 0 {
		if len(r.parts) == 0 {
			r.parts = append(r.parts, partition{known: true})
		}
		return append(r.groups, rowGroup{0, rows}), nil
	}
	ids := grow(&r.ids, len(rows))
	if err := r.fields[0].number(columns, rows, ids); err != nil {
		return nil, err
	}
	for i, f := range r.fields[1:] {
		codes := grow(&r.codes, len(rows))
		if err := f.number(columns, rows, codes); err != nil {
			return nil, err
		}
		pairs := r.pairs[i]
		lastID, lastCode, last := int32(-1), int32(-1), int32(0)
		for k, code := range codes {
			if ids[k] != lastID || code != lastCode {
				lastID, lastCode = ids[k], code
				last = pairs.number(int64(lastID)<<32 | int64(code))
			}
			ids[k] = last
		}
	}
	for _, id := range ids {
		for int(id) >= len(r.parts) {
			r.parts = append(r.parts, partition{})
			r.counts = append(r.counts, 0)
		}
	}
	return r.sort(ids, rows), nil
}

// sort is a counting sort by partition.
func (r *router) sort(ids, rows []int32) []rowGroup {
	groups, counts := r.groups, r.counts
	for _, id := range ids {
		if counts[id] == 0 {
			groups = append(groups, rowGroup{part: id})
		}
		counts[id]++
	}
	if len(groups) == 1 {
		counts[ids[0]] = 0
		groups[0].rows = rows
		r.groups = groups
		return r.describe(groups)
	}
	order := grow(&r.order, len(rows))
	at := int32(0)
	for i := range groups {
		n := counts[groups[i].part]
		groups[i].rows = order[at : at+n]
		counts[groups[i].part] = at // now the next free place
		at += n
	}
	for k, id := range ids {
		order[counts[id]] = rows[k]
		counts[id]++
	}
	for _, g := range groups {
		counts[g.part] = 0
	}
	r.groups = groups
	return r.describe(groups)
}

// describe fills in partitions that are seen for the first time.
func (r *router) describe(groups []rowGroup) []rowGroup {
	for _, g := range groups {
		p := &r.parts[g.part]
		if p.known {
			continue
		}
		p.known, p.values = true, make([]any, len(r.fields))
		id := int64(g.part)
		for i := len(r.fields) - 1; i > 0; i-- {
			pair := r.pairs[i-1].keys[id]
			p.values[i] = r.fields[i].values[int32(pair)]
			id = pair >> 32
		}
		p.values[0] = r.fields[0].values[id]
		p.path = r.folder(r.fields, p.values)
		p.key = partitionKey(p.values)
	}
	return groups
}

// partitionKey is a text that no other values have.
func partitionKey(values []any) string {
	var key []byte
	for _, v := range values {
		switch v := v.(type) {
		case nil:
			key = append(key, 'n')
		case string:
			key = strconv.AppendQuote(key, v)
		case []byte:
			key = strconv.AppendQuote(append(key, 'b'), string(v))
		case float32:
			key = strconv.AppendUint(append(key, 'f'), uint64(math.Float32bits(v)), 16)
		case float64:
			key = strconv.AppendUint(append(key, 'd'), math.Float64bits(v), 16)
		default:
			key = fmt.Append(key, v)
		}
		key = append(key, ',')
	}
	return string(key)
}

func grow(scratch *[]int32, n int) []int32 {
	if cap(*scratch) < n {
		*scratch = make([]int32, n)
	}
	*scratch = (*scratch)[:n]
	return *scratch
}

// numberTable numbers distinct keys in the order they come.
type numberTable struct {
	table []int32 // number + 1
	keys  []int64 // by number
	shift uint
}

func newNumberTable() *numberTable {
	return &numberTable{table: make([]int32, 64), shift: 58}
}

func (t *numberTable) number(key int64) int32 {
	mask := len(t.table) - 1
	i := int(uint64(key) * 0x9E3779B97F4A7C15 >> t.shift)
	for {
		n := t.table[i]
		if n == 0 {
			break
		}
		if t.keys[n-1] == key {
			return n - 1
		}
		i = (i + 1) & mask
	}
	t.keys = append(t.keys, key)
	t.table[i] = int32(len(t.keys))
	if 2*len(t.keys) > len(t.table) {
		t.table = make([]int32, 4*len(t.table))
		t.shift -= 2
		mask = len(t.table) - 1
		for n, key := range t.keys {
			i := int(uint64(key) * 0x9E3779B97F4A7C15 >> t.shift)
			for t.table[i] != 0 {
				i = (i + 1) & mask
			}
			t.table[i] = int32(n + 1)
		}
	}
	return int32(len(t.keys) - 1)
}
