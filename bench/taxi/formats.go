package taxi

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/big"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/hamba/avro/v2/ocf"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"google.golang.org/protobuf/encoding/protowire"
)

// Trip is a trip as a program that knows its type has it.
type Trip struct {
	TripID     int64     `json:"trip_id" avro:"trip_id"`
	VendorID   int       `json:"vendor_id" avro:"vendor_id"`
	PickupAt   time.Time `json:"pickup_at" avro:"pickup_at"`
	DropoffAt  time.Time `json:"dropoff_at" avro:"dropoff_at"`
	Passengers int       `json:"passengers" avro:"passengers"`
	DistanceKM float64   `json:"distance_km" avro:"distance_km"`
	PickupID   int       `json:"pickup_location_id" avro:"pickup_location_id"`
	DropoffID  int       `json:"dropoff_location_id" avro:"dropoff_location_id"`
	RateCode   string    `json:"rate_code" avro:"rate_code"`
	Pooled     bool      `json:"pooled" avro:"pooled"`
	Payment    string    `json:"payment_type" avro:"payment_type"`
	Fare       *big.Rat  `json:"-" avro:"fare"`
	Extra      *big.Rat  `json:"-" avro:"extra"`
	Tax        *big.Rat  `json:"-" avro:"tax"`
	Tip        *big.Rat  `json:"-" avro:"tip"`
	Tolls      *big.Rat  `json:"-" avro:"tolls"`
	Total      *big.Rat  `json:"-" avro:"total"`
	Currency   string    `json:"currency" avro:"currency"`
	Rider      Rider     `json:"rider" avro:"rider"`
	Note       string    `json:"note" avro:"note"`

	// As is the money as text.
	As struct{ Fare, Extra, Tax, Tip, Tolls, Total json.Number } `json:"-" avro:"-"`
}

// decode reads a trip's line.
func (t *Trip) decode(line []byte) error {
	if err := json.Unmarshal(line, t); err != nil {
		return fmt.Errorf("read trip: %w", err)
	}
	if err := json.Unmarshal(line, &t.As); err != nil {
		return fmt.Errorf("read trip: %w", err)
	}
	for i, text := range t.money() {
		r, ok := new(big.Rat).SetString(string(text))
		if !ok {
			return fmt.Errorf("read trip: %s is no number", text)
		}
		*[]**big.Rat{&t.Fare, &t.Extra, &t.Tax, &t.Tip, &t.Tolls, &t.Total}[i] = r
	}
	return nil
}

func (t *Trip) money() []json.Number {
	return []json.Number{t.As.Fare, t.As.Extra, t.As.Tax, t.As.Tip, t.As.Tolls, t.As.Total}
}

// Rider is the nested object.
type Rider struct {
	ID     string  `json:"id" avro:"id"`
	Rating float64 `json:"rating" avro:"rating"`
	OS     string  `json:"os" avro:"os"`
}

// ProtoSchema is the .proto source of what WriteProtobuf writes. Money is text,
// since Protobuf has no decimals.
const ProtoSchema = `syntax = "proto3";
import "google/protobuf/timestamp.proto";
message Trip {
  message Rider { string id = 1; double rating = 2; string os = 3; }
  int64 trip_id = 1; int32 vendor_id = 2; google.protobuf.Timestamp pickup_at = 3; google.protobuf.Timestamp dropoff_at = 4; int32 passengers = 5;
  double distance_km = 6; int32 pickup_location_id = 7; int32 dropoff_location_id = 8; string rate_code = 9; bool pooled = 10; string payment_type = 11;
  string fare = 12; string extra = 13; string tax = 14; string tip = 15; string tolls = 16; string total = 17; string currency = 18; Rider rider = 19; string note = 20;
}`

// eachTrip reads a file of lines.
func eachTrip(input string, f func(t *Trip) error) error {
	in, err := os.Open(input)
	if err != nil {
		return err
	}
	defer in.Close()
	lines := bufio.NewScanner(bufio.NewReaderSize(in, 1<<20))
	for lines.Scan() {
		var t Trip
		if err := t.decode(lines.Bytes()); err != nil {
			return err
		}
		if err := f(&t); err != nil {
			return err
		}
	}
	return lines.Err()
}

// WriteAvro writes the trips of a file of lines as an Avro object container file.
func WriteAvro(input string, w io.Writer, codec ocf.CodecName) error {
	field := func(name, typ string) string { return `{"name":"` + name + `","type":` + typ + `}` }
	fields := []string{field("trip_id", `"long"`), field("vendor_id", `"int"`)}
	for _, name := range []string{"pickup_at", "dropoff_at"} {
		fields = append(fields, field(name, `{"type":"long","logicalType":"timestamp-millis"}`))
	}
	fields = append(fields, field("passengers", `"int"`), field("distance_km", `"double"`), field("pickup_location_id", `"int"`), field("dropoff_location_id", `"int"`),
		field("rate_code", `"string"`), field("pooled", `"boolean"`), field("payment_type", `"string"`))
	for _, name := range []string{"fare", "extra", "tax", "tip", "tolls", "total"} {
		fields = append(fields, field(name, `{"type":"bytes","logicalType":"decimal","precision":10,"scale":2}`))
	}
	fields = append(fields, field("currency", `"string"`),
		field("rider", `{"type":"record","name":"rider","fields":[`+field("id", `"string"`)+","+field("rating", `"double"`)+","+field("os", `"string"`)+`]}`), field("note", `"string"`))
	enc, err := ocf.NewEncoder(`{"type":"record","name":"trip","fields":[`+strings.Join(fields, ",")+`]}`, w, ocf.WithCodec(codec), ocf.WithBlockLength(1000))
	if err != nil {
		return err
	}
	if err := eachTrip(input, func(t *Trip) error { return enc.Encode(*t) }); err != nil {
		return err
	}
	return enc.Close()
}

// WriteProtobuf writes the trips of a file of lines as messages, each with its
// length before it.
func WriteProtobuf(input string, w io.Writer) error {
	var m, inner []byte
	number := func(dst []byte, n protowire.Number, v int64) []byte {
		return protowire.AppendVarint(protowire.AppendTag(dst, n, protowire.VarintType), uint64(v))
	}
	text := func(dst []byte, n protowire.Number, v string) []byte {
		return protowire.AppendString(protowire.AppendTag(dst, n, protowire.BytesType), v)
	}
	double := func(dst []byte, n protowire.Number, v float64) []byte {
		return protowire.AppendFixed64(protowire.AppendTag(dst, n, protowire.Fixed64Type), math.Float64bits(v))
	}
	message := func(dst []byte, n protowire.Number) []byte {
		return protowire.AppendBytes(protowire.AppendTag(dst, n, protowire.BytesType), inner)
	}
	instant := func(dst []byte, n protowire.Number, t time.Time) []byte {
		inner = number(number(inner[:0], 1, t.Unix()), 2, int64(t.Nanosecond()))
		return message(dst, n)
	}
	return eachTrip(input, func(t *Trip) error {
		m = number(number(m[:0], 1, t.TripID), 2, int64(t.VendorID))
		m = instant(instant(m, 3, t.PickupAt), 4, t.DropoffAt)
		m = double(number(m, 5, int64(t.Passengers)), 6, t.DistanceKM)
		m = text(number(number(m, 7, int64(t.PickupID)), 8, int64(t.DropoffID)), 9, t.RateCode)
		if t.Pooled {
			m = number(m, 10, 1)
		}
		m = text(m, 11, t.Payment)
		for i, v := range t.money() {
			m = text(m, protowire.Number(12+i), string(v))
		}
		m = text(m, 18, t.Currency)
		inner = text(double(text(inner[:0], 1, t.Rider.ID), 2, t.Rider.Rating), 3, t.Rider.OS)
		m = text(message(m, 19), 20, t.Note)
		if _, err := w.Write(binary.AppendUvarint(nil, uint64(len(m)))); err != nil {
			return err
		}
		_, err := w.Write(m)
		return err
	})
}

// WriteLog writes a line of an access log in the combined format for each trip of
// a file of lines.
func WriteLog(input string, w io.Writer) error {
	var line []byte
	return eachTrip(input, func(t *Trip) error {
		line = fmt.Appendf(line[:0], "10.%d.%d.%d - %s [%s] \"GET /trips/%d/from/%d?payment=%s HTTP/1.1\" %d %d \"https://example.com/%s\" \"%s\"\n",
			t.VendorID, t.PickupID%256, t.DropoffID%256, t.Rider.ID, t.PickupAt.Format("02/Jan/2006:15:04:05 -0700"), t.TripID, t.PickupID, t.Payment,
			200+t.Passengers, int64(t.DistanceKM*1000), t.RateCode, t.Note)
		_, err := w.Write(line)
		return err
	})
}

// WriteCompressed writes a file again by a compressor: gzip, zstd, lz4 or snappy.
func WriteCompressed(input string, w io.Writer, compression string) error {
	in, err := os.Open(input)
	if err != nil {
		return err
	}
	defer in.Close()
	var z io.WriteCloser
	switch compression {
	case "gzip":
		z = gzip.NewWriter(w)
	case "zstd":
		if z, err = zstd.NewWriter(w); err != nil {
			return err
		}
	case "lz4":
		z = lz4.NewWriter(w)
	case "snappy":
		z = s2.NewWriter(w, s2.WriterSnappyCompat())
	default:
		return fmt.Errorf("there is no compression %s", strconv.Quote(compression))
	}
	if _, err := io.Copy(z, in); err != nil {
		return err
	}
	return z.Close()
}

// CopyAs is a COPY by which DuckDB writes the trips of a file of lines to
// another one; rider is what it makes of the nested object, options are those of
// the file.
func CopyAs(input, target, rider, options string) string {
	return fmt.Sprintf("COPY (SELECT * REPLACE (%s AS rider) FROM %s) TO '%s' (%s)", rider, readJSON(input), target, options)
}
