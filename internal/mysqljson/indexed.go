package mysqljson

import "bytes"

// Indexed is a text of JSON in which several paths are looked up: it is checked,
// and the members of its object are found, in one pass. The zero value is ready
// for Read.
type Indexed struct {
	doc     []byte
	members []part // of doc, if that is an object
	indexed bool
}

// part is where a name, without its quotes, and a value lie.
type part struct{ nameStart, nameEnd, start, end int }

// Read takes a text, which it refers to from then on. The error is that
// of Valid.
func (o *Indexed) Read(doc []byte) error {
	o.doc = bytes.Trim(doc, " \n\r\t")
	if o.indexed = o.index(); o.indexed {
		return nil
	}
	return Valid(doc) // it is no object, or says what is wrong
}

// index finds the members of a valid object; false for anything else.
func (o *Indexed) index() bool {
	doc := o.doc
	o.members = o.members[:0]
	if len(doc) == 0 || doc[0] != '{' {
		return false
	}
	i := skipSpace(doc, 1)
	if i < len(doc) && doc[i] == '}' {
		return i+1 == len(doc)
	}
	for {
		if i >= len(doc) || doc[i] != '"' {
			return false
		}
		m := part{nameStart: i + 1}
		var err error
		if i, err = scanString(doc, i+1); err != nil {
			return false
		}
		m.nameEnd = i - 1
		if i = skipSpace(doc, i); i >= len(doc) || doc[i] != ':' {
			return false
		}
		m.start = skipSpace(doc, i+1)
		if m.end, err = scan(doc, m.start, MaxDepth-1, nil); err != nil {
			return false
		}
		o.members = append(o.members, m)
		i = skipSpace(doc, m.end)
		if i >= len(doc) || doc[i] != ',' {
			return i+1 == len(doc) && doc[i] == '}'
		}
		i = skipSpace(doc, i+1)
	}
}

// Lookup is Lookup in the text that was read.
func (o *Indexed) Lookup(p Path) (value []byte, found bool, err error) {
	if !o.indexed || len(p.legs) == 0 || p.legs[0].Kind != LegMember {
		return Lookup(o.doc, p)
	}
	for k := len(o.members) - 1; k >= 0; k-- { // the last of a name counts
		m := &o.members[k]
		if !equalName(o.doc[m.nameStart:m.nameEnd], p.legs[0].Name) {
			continue
		}
		value = o.doc[m.start:m.end]
		if len(p.legs) == 1 {
			return value, true, nil
		}
		return Lookup(value, Path{legs: p.legs[1:]})
	}
	return nil, false, nil
}
