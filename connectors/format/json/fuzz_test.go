package json_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/leatdb/leat/connectors"
)

// hostileFields are columns of most types, with nested places and one column
// that is also looked into.
func hostileFields() []connectors.Field {
	fields := []connectors.Field{
		column("b", "BOOLEAN"), column("i8", "TINYINT"), column("u16", "SMALLINT UNSIGNED"), column("m", "MEDIUMINT"),
		column("i", "INT"), column("l", "BIGINT"), column("u", "BIGINT UNSIGNED"), column("f", "FLOAT"), column("d", "DOUBLE"),
		column("dec", "DECIMAL(10,2)"), column("big", "DECIMAL(38,10)"), column("s", "TEXT"), column("v", "VARCHAR(5)"),
		column("c", "CHAR(4)"), column("e", "ENUM('x','y y','é')"), column("bin", "VARBINARY(6)"),
		column("day", "DATE"), column("at", "TIMESTAMP(6)"), column("ms", "DATETIME(3)"), column("sec", "DATETIME"),
		column("j", "JSON"), unquoted("j", "a"), unquoted("j", "o", "x"), unquoted("k", "p"), unquoted("k", "list", "[1]"),
		unquoted("k", "list", "[0]", "x"),
	}
	extract := unquoted("k", "p")
	extract.Mode, extract.Column.Name = connectors.FieldExtract, "k_p_json"
	return append(fields, extract)
}

var hostileNames = []string{
	"b", "i8", "u16", "m", "i", "l", "u", "f", "d", "dec", "big", "s", "v", "c", "e", "bin", "day", "at", "ms", "sec", "j", "k",
	"I", "DEC", "J", "K", "unknown", "another unknown member with a long name", "", "é", `\u0069`, `\"q\"`,
}

var hostileScalars = []string{
	`0`, `1`, `-1`, `127`, `128`, `-128`, `-129`, `65535`, `65536`, `8388607`, `8388608`, `2147483647`, `2147483648`, `-2147483649`,
	`9223372036854775807`, `9223372036854775808`, `-9223372036854775808`, `18446744073709551615`, `18446744073709551616`, `-0`, `-0.0`,
	`5.0`, `5e0`, `5.5`, `12345678`, `123456789`, `1234567.5`, `12345678.12`, `12345678.125`, `99999999.99`, `99999999.995`, `0.005`, `-0.005`, `0.004`,
	`1.5e3`, `1E+2`, `1e-2`, `3.4e38`, `3.5e38`, `1e308`, `1e309`, `1e-400`, `123456789012345678`, `1234567890123456789`, `0.1`, `0.30000000000000004`,
	`123456.7890123`, `1234567890.12345678901234`, `12345678901234567890.1`, `9007199254740993`, `9007199254740993.0`, `1.10`, `100.0`,
	`true`, `false`, `null`, `"true"`, `"5"`, `" 5 "`, `"5x"`, `"1e2"`, `""`, `"a"`, `"abcde"`, `"abcdef"`, `"ab   "`, `"abcde  "`, `"ééééé"`, `"éééééé"`,
	`"x"`, `"y y"`, `"é"`, `"plain ascii of more than sixteen bytes"`, `"a\nb"`, `"\u00e9\ud83d\ude00\/"`, `"tab\tin"`, `"😀"`, `"just short of 16!"`,
	`"exactly8"`, `"seven.7"`, `"exactly sixteen."`,
	`"2024-07-01"`, `"2024-02-30"`, `"2024-07-01T12:34:56Z"`, `"2024-07-01 12:34:56"`, `"2024-07-01T12:34:56.789Z"`, `"2024-07-01 12:34:56.123456"`,
	`"2024-07-01T12:34:56.123456789Z"`, `"2024-07-01T12:34:56.9999999"`, `"2024-07-01T12:34:56+02:00"`, `"2024-12-31T23:59:59.9996-05:30"`,
	`"9999-12-31T23:59:59.9999999"`, `"2024-07-01T25:00:00"`, `"2024-07-01T12:34:56.12345678Z"`, `1719837296`, `1719837296789`, `1719837296789012`, `1719837296789012345`, `-5`,
	`99999999999`, `100000000000`, `"1719837296"`,
}

// hostileValue appends a random value.
func hostileValue(r *rand.Rand, b []byte, depth int) []byte {
	switch k := r.IntN(10); {
	case k == 0 && depth > 0:
		b = append(b, '[')
		for i := range r.IntN(4) {
			if i > 0 {
				b = append(b, ',')
			}
			b = hostileValue(r, b, depth-1)
		}
		return append(b, ']')
	case k == 1 && depth > 0:
		return hostileObject(r, b, depth-1, []string{"a", "o", "x", "p", "list", "list", "P", "z"})
	}
	return append(b, hostileScalars[r.IntN(len(hostileScalars))]...)
}

func hostileObject(r *rand.Rand, b []byte, depth int, names []string) []byte {
	space := func() {
		if r.IntN(12) == 0 {
			b = append(b, []string{" ", "  ", "\t", " \r"}[r.IntN(4)]...)
		}
	}
	b = append(b, '{')
	space()
	for i := range r.IntN(1 + r.IntN(12)) {
		if i > 0 {
			b = append(b, ',')
			space()
		}
		b = append(b, '"')
		b = append(b, names[r.IntN(len(names))]...)
		b = append(b, '"')
		space()
		b = append(b, ':')
		space()
		b = hostileValue(r, b, depth)
		space()
	}
	return append(b, '}')
}

const breakers = "\"\\{}[],:0e. x\xff\x01\n"

// mangle breaks a text in one place.
func mangle(r *rand.Rand, b []byte) []byte {
	if len(b) == 0 {
		return b
	}
	i := r.IntN(len(b))
	switch r.IntN(5) {
	case 0:
		b[i] = breakers[r.IntN(len(breakers))]
	case 1:
		b = slices.Delete(b, i, i+1)
	case 2:
		b = slices.Insert(b, i, breakers[r.IntN(len(breakers))])
	case 3:
		b = b[:i]
	default:
		j := i + r.IntN(len(b)-i)
		b = append(b[:i], b[j:]...)
	}
	return b
}

func hostileConfig(choice uint8) connectors.DecoderConfig {
	c := connectors.DecoderConfig{
		Fields:       hostileFields(),
		Validation:   connectors.Validation(choice & 3 % 3),
		Framing:      connectors.Framing(choice >> 2 & 1),
		OnFieldError: connectors.OnFieldError(choice >> 3 & 1),
	}
	if choice>>4&1 != 0 {
		c.Fields[4].Column.NotNull = true
	}
	if choice>>5&1 != 0 {
		c.Fields = c.Fields[:6] // scalars of the root only
	}
	if choice>>6&1 != 0 {
		c.MaxRecordBytes = 100
	}
	return c
}

// TestHostile compares the decoders on random objects of few names and many
// kinds of value, several to a line, some of them broken.
func TestHostile(t *testing.T) {
	rounds := 3000
	if testing.Short() {
		rounds = 300
	}
	for seed := range rounds {
		r := rand.New(rand.NewPCG(uint64(seed), 7))
		names := slices.Clone(hostileNames)
		r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		names = names[:3+r.IntN(len(names)-3)]
		var lines [][]byte
		for range 1 + r.IntN(30) {
			var line []byte
			if len(lines) > 0 && r.IntN(2) == 0 {
				line = bytes.Clone(lines[r.IntN(len(lines))]) // shapes come again
			} else {
				line = hostileObject(r, nil, 3, names)
			}
			switch r.IntN(10) {
			case 0:
				line = append(line, hostileObject(r, []byte(" "), 1, names)...)
			case 1:
				line = mangle(r, line)
			case 2:
				line = append(hostileValue(r, nil, 2), line...)
			case 3:
				line = append(line, "  \r"...)
			case 4:
				line = []byte(" ")[:r.IntN(2)]
			}
			lines = append(lines, line)
		}
		c := chunkOf(append(bytes.Join(lines, []byte("\n")), "\n"[:r.IntN(2)]...))
		if r.IntN(3) == 0 {
			c = chunkOfRecords(lines...)
		}
		t.Run(fmt.Sprint(seed), func(t *testing.T) { compare(t, hostileConfig(uint8(r.Uint32())), c) })
	}
}

// TestTaxi compares the decoders on events as they come in practice.
func TestTaxi(t *testing.T) {
	for _, g := range []taxi{{}, {dirty: 0.1}, {dirty: 0.7}, {shuffled: true, dirty: 0.3}, {spaced: true}} {
		g.r = rand.New(rand.NewPCG(3, 4))
		config := connectors.DecoderConfig{Fields: append(taxiFields(), column("rider", "JSON"))}
		compare(t, config, chunkOf(g.lines(700)))
	}
}

func FuzzDecode(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 1))
	for i := range 20 {
		var data []byte
		for range 3 {
			data = append(hostileObject(r, data, 3, hostileNames), '\n')
		}
		f.Add(data, uint8(i*13))
	}
	f.Add([]byte("{\"i\":1}\n{\"i\":2}\n{\"i\":nul}\n{\"i\":\"\\u12\"}\n{\"i\""), uint8(0))
	f.Fuzz(func(t *testing.T, data []byte, choice uint8) {
		c := chunkOf(data)
		if choice>>7 != 0 {
			c = chunkOfRecords(bytes.SplitAfter(data, []byte("\n\n"))...)
		}
		compare(t, hostileConfig(choice), c)
	})
}
