package parquetfile

import "context"

// encodedGroup is a row group whose pages are encoded and not yet written.
type encodedGroup struct {
	group
	encoded []encodedChunk
	total   []total
}

// encodedChunk is the bytes of a column chunk.
type encodedChunk struct {
	dictionary, data blocks
	bloom            []byte
}

// release gives the pages back.
func (g *encodedGroup) release(p *Pool) {
	for i := range g.encoded {
		g.encoded[i].dictionary.release(p)
		g.encoded[i].data.release(p)
	}
	g.encoded = nil
}

// Part is the row group of a file that was taken before anything was written of
// it. Parts of several lanes are joined to one file.
type Part struct {
	schema    *Schema
	createdBy string
	pool      *Pool
	group     encodedGroup
	held      int64
}

// Begun reports whether something of the file has been written to its sink.
func (f *File) Begun() bool { return f.out.at > 0 }

// Detach takes the pages of a file of which nothing has been written, and ends
// the file. The part may be used, by one goroutine at a time, while the
// encoder's lane goes on. It is released by Release.
func (f *File) Detach() (*Part, error) {
	if f.err != nil {
		return nil, f.err
	}
	p := &Part{schema: f.out.schema, createdBy: f.out.createdBy, pool: f.encoder.pool}
	f.err = errFinished
	if f.rows > 0 {
		var err error
		if p.group, err = f.encodeGroup(); err != nil {
			f.err = err
			return nil, err
		}
	}
	for i := range p.group.encoded {
		c := &p.group.encoded[i]
		p.held += int64(c.dictionary.held + c.data.held + len(c.bloom))
	}
	return p, nil
}

// Rows is how many rows the part has.
func (p *Part) Rows() int64 { return p.group.rows }

// Held is the memory that its pages take, in bytes.
func (p *Part) Held() int64 { return p.held }

// Bytes is how many bytes its pages have in a file.
func (p *Part) Bytes() int64 {
	n := int64(0)
	for i := range p.group.encoded {
		c := &p.group.encoded[i]
		n += int64(c.dictionary.n + c.data.n + len(c.bloom))
	}
	return n
}

// Release gives the part's memory back to the pool of its lane.
func (p *Part) Release() {
	p.group.release(p.pool)
	p.held = 0
}

// Join writes a file that has the rows of all parts, at least one, each as a row
// group. The parts are of one schema and stay as they are.
func Join(ctx context.Context, sink Sink, parts []*Part) (Footer, error) {
	o := output{schema: parts[0].schema, createdBy: parts[0].createdBy, sink: sink, total: newTotals(parts[0].schema)}
	for _, p := range parts {
		if p.group.rows == 0 {
			continue
		}
		if err := o.writeGroup(ctx, &p.group); err != nil {
			return Footer{}, err
		}
	}
	return o.finish(ctx)
}

func newTotals(s *Schema) []total {
	totals := make([]total, len(s.columns))
	for i := range totals {
		totals[i].bounds.invertSign = s.layouts[i] == layoutFixed
	}
	return totals
}
