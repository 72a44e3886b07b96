// Package taxi makes the events that the benchmarks read: taxi trips as JSON
// objects of about 500 bytes, 20 fields, one of them a nested object; 22 leaves.
package taxi

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// Columns are the fields in SQL, as the benchmarks' CREATE SOURCE declares them.
const Columns = `trip_id BIGINT, vendor_id INT, pickup_at TIMESTAMP(3), dropoff_at TIMESTAMP(3), passengers INT,
  distance_km DOUBLE, pickup_location_id INT, dropoff_location_id INT, rate_code VARCHAR(20), pooled BOOLEAN,
  payment_type VARCHAR(20), fare DECIMAL(10,2), extra DECIMAL(10,2), tax DECIMAL(10,2), tip DECIMAL(10,2),
  tolls DECIMAL(10,2), total DECIMAL(10,2), currency CHAR(3), rider JSON, note VARCHAR(200)`

// Zones is the number of pickup locations, which makes as many partitions.
const Zones = 265

var (
	rates    = [...]string{"standard", "airport", "negotiated", "group"}
	payments = [...]string{"card", "cash", "app", "dispute", "none"}
	systems  = [...]string{"ios", "android", "web"}
	words    = [...]string{"quick", "ride", "to", "the", "airport", "with", "two", "bags", "and", "a", "dog", "please", "mind", "gate", "north", "entrance"}
)

// Dirt says which lines of a file are not like the others.
type Dirt struct {
	// Share of lines (0 to 1) with an escape, a null, spaces or another field
	// order, in turn.
	Share float64
}

// Generator makes trips; row n is a function of the seed and n alone.
type Generator struct {
	seed  uint64
	start time.Time
	dirt  Dirt
}

// NewGenerator makes trips over the year 2026.
func NewGenerator(seed uint64, dirt Dirt) *Generator {
	return &Generator{seed: seed, start: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), dirt: dirt}
}

// Append appends trip n, without a line break.
func (g *Generator) Append(dst []byte, n int64) []byte {
	r := rand.New(rand.NewPCG(g.seed, uint64(n)))
	pickup := g.start.Add(time.Duration(r.Int64N(365*24*3600*1000)) * time.Millisecond)
	ride := time.Duration(120+r.Int64N(5400)) * time.Second
	km := float64(30+r.IntN(40000)) / 1000
	fare := 250 + int64(km*180) + r.Int64N(400)
	if r.IntN(50) == 0 {
		fare = -fare
	}
	extra, tax, tip, tolls := int64(r.IntN(4)*50), int64(50), r.Int64N(900), int64(r.IntN(10)/9*655)
	dirty := 0
	if g.dirt.Share > 0 && r.Float64() < g.dirt.Share {
		dirty = 1 + r.IntN(4)
	}
	const layout = "2006-01-02T15:04:05.000Z"
	cents := func(name string, v int64) {
		dst = append(dst, `,"`...)
		dst = append(dst, name...)
		dst = append(dst, `":`...)
		if v < 0 {
			dst, v = append(dst, '-'), -v
		}
		dst = strconv.AppendInt(dst, v/100, 10)
		dst = append(dst, '.', byte('0'+v/10%10), byte('0'+v%10))
	}
	number := func(name string, v int64) {
		dst = append(dst, `,"`...)
		dst = append(dst, name...)
		dst = append(dst, `":`...)
		dst = strconv.AppendInt(dst, v, 10)
	}
	text := func(name, v string) {
		dst = append(dst, `,"`...)
		dst = append(dst, name...)
		dst = append(dst, `":"`...)
		dst = append(dst, v...)
		dst = append(dst, '"')
	}
	dst = append(dst, `{"trip_id":`...)
	dst = strconv.AppendInt(dst, 1_000_000_000+n, 10)
	if dirty == 1 { // another order
		text("currency", "USD")
	}
	number("vendor_id", int64(1+r.IntN(6)))
	text("pickup_at", string(pickup.AppendFormat(nil, layout)))
	text("dropoff_at", string(pickup.Add(ride).AppendFormat(nil, layout)))
	if dirty == 2 {
		dst = append(dst, `,"passengers":null`...)
	} else {
		number("passengers", int64(1+r.IntN(6)))
	}
	dst = append(dst, `,"distance_km":`...)
	dst = strconv.AppendFloat(dst, km, 'f', 3, 64)
	number("pickup_location_id", int64(1+r.IntN(Zones)))
	number("dropoff_location_id", int64(1+r.IntN(Zones)))
	text("rate_code", rates[r.IntN(len(rates))])
	dst = append(dst, `,"pooled":`...)
	dst = strconv.AppendBool(dst, r.IntN(8) == 0)
	text("payment_type", payments[r.IntN(len(payments))])
	if dirty == 3 {
		dst = append(dst, ' ')
	}
	cents("fare", fare)
	cents("extra", extra)
	cents("tax", tax)
	cents("tip", tip)
	cents("tolls", tolls)
	cents("total", fare+extra+tax+tip+tolls)
	if dirty != 1 {
		text("currency", "USD")
	}
	dst = append(dst, `,"rider":{"id":"r-`...)
	dst = strconv.AppendInt(dst, 1_000_000+r.Int64N(900_000), 10)
	dst = append(dst, `","rating":`...)
	dst = strconv.AppendFloat(dst, float64(300+r.IntN(201))/100, 'f', 2, 64)
	dst = append(dst, `,"os":"`...)
	dst = append(dst, systems[r.IntN(len(systems))]...)
	dst = append(dst, `"},"note":"`...)
	for i := range 4 + r.IntN(6) {
		if i > 0 {
			dst = append(dst, ' ')
		}
		dst = append(dst, words[r.IntN(len(words))]...)
	}
	if dirty == 4 {
		dst = append(dst, ` \"ok\" é`...)
	}
	return append(dst, `"}`...)
}

// WriteFile writes rows trips to a file, a line each, unless it is there
// already with that many, and returns its size in bytes.
func WriteFile(path string, rows int64, g *Generator) (size int64, err error) {
	if info, err := os.Stat(path); err == nil {
		return info.Size(), nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return 0, fmt.Errorf("make folder of benchmark data: %w", err)
	}
	f, err := os.Create(path + ".part")
	if err != nil {
		return 0, fmt.Errorf("write benchmark data: %w", err)
	}
	defer f.Close()
	size, err = write(f, rows, g)
	if err == nil {
		err = f.Close()
	}
	if err == nil {
		err = os.Rename(path+".part", path)
	}
	if err != nil {
		return 0, fmt.Errorf("write benchmark data: %w", err)
	}
	return size, nil
}

func write(f io.Writer, rows int64, g *Generator) (size int64, err error) {
	w := bufio.NewWriterSize(f, 1<<20)
	var line []byte
	for n := range rows {
		line = append(g.Append(line[:0], n), '\n')
		size += int64(len(line))
		if _, err := w.Write(line); err != nil {
			return size, err
		}
	}
	return size, w.Flush()
}
