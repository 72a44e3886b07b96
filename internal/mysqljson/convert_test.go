package mysqljson_test

import (
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/leatdb/leat/internal/mysqljson"
)

func TestParseInteger(t *testing.T) {
	f := func(in string, want string) {
		t.Helper()
		n, negative, err := mysqljson.ParseInteger([]byte(in))
		got := fmt.Sprint(n)
		if negative {
			got = "-" + got
		}
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("ParseInteger(%q) = %s, want %s", in, got, want)
		}
	}
	f("0", "0")
	f("-0", "0")
	f("5.0", "5")
	f("5e0", "5")
	f("50e-1", "5")
	f("0.05e2", "5")
	f(" +12 ", "12")
	f("1e3", "1000")
	f("-9223372036854775808", "-9223372036854775808")
	f("18446744073709551615", "18446744073709551615")
	f("18446744073709551616", "out of range")
	f("1e20", "out of range")
	f("1e999999999999999999999", "out of range")
	f("0e999999999999999999999", "0")
	f("5.5", "not a whole number")
	f("1e-999999999", "not a whole number")
	f("", "not a number")
	f(".", "not a number")
	f("1x", "not a number")
	f("1e", "not a number")
	f("- 1", "not a number")
}

// decimalSlow reads a number with big rationals.
func decimalSlow(text string, precision, scale int) (*big.Int, error) {
	r, ok := new(big.Rat).SetString(strings.TrimSpace(text))
	if !ok {
		return nil, mysqljson.ErrNotNumber
	}
	ten := big.NewInt(10)
	r.Mul(r, new(big.Rat).SetInt(new(big.Int).Exp(ten, big.NewInt(int64(scale)), nil)))
	twice := new(big.Int).Mul(r.Num(), big.NewInt(2))
	half := new(big.Int).Set(r.Denom())
	if r.Sign() < 0 {
		half.Neg(half)
	}
	n := new(big.Int).Quo(twice.Add(twice, half), new(big.Int).Mul(r.Denom(), big.NewInt(2)))
	if new(big.Int).Abs(n).Cmp(new(big.Int).Exp(ten, big.NewInt(int64(precision)), nil)) >= 0 {
		return nil, mysqljson.ErrOutOfRange
	}
	return n, nil
}

func TestParseDecimal_AgainstBig(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 2))
	digits := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = "0123456789059"[r.IntN(13)]
		}
		return string(b)
	}
	for range 50_000 {
		text := []string{"", "-", "+"}[r.IntN(3)] + digits(1+r.IntN(1+r.IntN(42)))
		if r.IntN(3) > 0 {
			text += "." + digits(1+r.IntN(1+r.IntN(42)))
		}
		if r.IntN(3) == 0 {
			text += fmt.Sprintf("e%d", r.IntN(80)-40)
		}
		precision := 1 + r.IntN(38)
		scale := r.IntN(min(precision, 30) + 1)
		got, err := mysqljson.ParseDecimal([]byte(text), precision, scale)
		want, wantErr := decimalSlow(text, precision, scale)
		if !errors.Is(err, wantErr) || err == nil && got.BigInt().Cmp(want) != 0 {
			t.Fatalf("ParseDecimal(%s, %d, %d) = %v, %v; want %v, %v", text, precision, scale, got.BigInt(), err, want, wantErr)
		}
	}
}

func TestParseDateTime(t *testing.T) {
	f := func(in string, fsp int, want string) {
		t.Helper()
		micros, _, err := mysqljson.ParseDateTime([]byte(in), fsp)
		got := time.UnixMicro(micros).UTC().Format("2006-01-02 15:04:05.999999")
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("ParseDateTime(%q, %d) = %s, want %s", in, fsp, got, want)
		}
	}
	f("2024-07-01T12:34:56.789Z", 6, "2024-07-01 12:34:56.789")
	f("2024-07-01 12:34:56.123456789", 6, "2024-07-01 12:34:56.123457")
	f("2024-07-01 12:34:56.4999", 0, "2024-07-01 12:34:56")
	f("2024-07-01 12:34:56.5", 0, "2024-07-01 12:34:57")
	f("2024-12-31 23:59:59.9999995", 6, "2025-01-01 00:00:00")
	f("2024-07-01T12:34:56+02:00", 0, "2024-07-01 10:34:56")
	f("2024-07-01T12:34:56-0530", 0, "2024-07-01 18:04:56")
	f("2024-07-01T12:34:56 +02", 0, "2024-07-01 10:34:56")
	f("2024-07-01", 0, "2024-07-01 00:00:00")
	f("2024-07-01T12:34", 0, "2024-07-01 12:34:00")
	f("20240701T123456Z", 0, "2024-07-01 12:34:56")
	f("20240701123456", 0, "2024-07-01 12:34:56")
	f("20240701", 0, "2024-07-01 00:00:00")
	f(" 24-7-1  1:2:3 ", 0, "2024-07-01 01:02:03")
	f("70/1/1", 0, "1970-01-01 00:00:00")
	f("0001-01-01", 0, "0001-01-01 00:00:00")
	f("9999-12-31 23:59:59.999999", 6, "9999-12-31 23:59:59.999999")
	f("9999-12-31 23:59:59.9999999", 6, "out of range")
	f("9999-12-31 23:59:59-01:00", 6, "out of range")
	f("0001-01-01 00:00:00+01:00", 6, "out of range")
	f("2024-02-29", 0, "2024-02-29 00:00:00")
	for _, bad := range []string{
		"", "x", "2024", "2024-07", "2024-07-01T", "2023-02-29", "2024-13-01", "2024-00-10", "0000-00-00", "2024-07-01 24:00:00",
		"2024-07-01 12:60:00", "2024-07-01 12:00:60", "2024-07-01 12:00:00.", "2024-07-01Z", "2024-07-01T12:00:00+25:00",
		"2024-07-01T12:00:00+1", "2024-07-01T12:00:00Zx", "2024-07/01", "1719837296", "2024-07-01T12:00:00+02:0",
	} {
		f(bad, 6, "not a time")
	}
}

func TestParseDate(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		days, err := mysqljson.ParseDate([]byte(in))
		got := time.Unix(int64(days)*86400, 0).UTC().Format("2006-01-02")
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("ParseDate(%q) = %s, want %s", in, got, want)
		}
	}
	f("2024-07-01", "2024-07-01")
	f("1969-12-31", "1969-12-31")
	f("20240701", "2024-07-01")
	f("2024-07-01 23:59:59.9999999", "2024-07-01")
	f("2024-07-01T23:30:00-01:00", "2024-07-02")
	f("1969-07-01T00:30:00+01:00", "1969-06-30")
	f("2024-07-32", "not a date")
	f("today", "not a date")
}

func TestParseTime(t *testing.T) {
	f := func(in string, fsp int, want string) {
		t.Helper()
		micros, err := mysqljson.ParseTime([]byte(in), fsp)
		got := (time.Duration(micros) * time.Microsecond).String()
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("ParseTime(%q, %d) = %s, want %s", in, fsp, got, want)
		}
	}
	f("12:34:56.789", 6, "12h34m56.789s")
	f("12:34:56.789", 0, "12h34m57s")
	f("12:34", 0, "12h34m0s")
	f("1:2:3", 0, "1h2m3s")
	f("123456", 0, "12h34m56s")
	f("1234", 0, "12m34s")
	f("24:00:00", 0, "24h0m0s")
	f("-00:00:00", 0, "0s")
	f("2024-07-01T12:34:56Z", 0, "12h34m56s")
	f("2024-07-01T01:00:00+02:00", 0, "23h0m0s")
	f("24:00:01", 0, "out of range")
	f("-1:00:00", 0, "out of range")
	f("100:00:00", 0, "out of range")
	f("12:60:00", 0, "not a time")
	f("noon", 0, "not a time")
	f("12:", 0, "not a time")
}

func TestEpochMicros(t *testing.T) {
	f := func(in string, fsp int, want string) {
		t.Helper()
		micros, err := mysqljson.EpochMicros([]byte(in), fsp)
		got := time.UnixMicro(micros).UTC().Format("2006-01-02 15:04:05.999999")
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("EpochMicros(%s, %d) = %s, want %s", in, fsp, got, want)
		}
	}
	f("0", 6, "1970-01-01 00:00:00")
	f("1719837296", 6, "2024-07-01 12:34:56")
	f("1719837296.789", 6, "2024-07-01 12:34:56.789")
	f("1719837296.789", 0, "2024-07-01 12:34:57")
	f("1719837296789", 6, "2024-07-01 12:34:56.789")
	f("1719837296789", 0, "2024-07-01 12:34:57")
	f("1719837296789012", 6, "2024-07-01 12:34:56.789012")
	f("1719837296789012345", 6, "2024-07-01 12:34:56.789012")
	f("1.719837296e9", 6, "2024-07-01 12:34:56")
	f("-1", 6, "1969-12-31 23:59:59")
	f("99999999999", 6, "5138-11-16 09:46:39")
	f("100000000000", 6, "1973-03-03 09:46:40")
	f("99999999999999", 6, "5138-11-16 09:46:39.999")
	f("100000000000000", 6, "1973-03-03 09:46:40")
	f("99999999999999999", 6, "5138-11-16 09:46:39.999999")
	f("100000000000000000", 6, "1973-03-03 09:46:40")
	f("1e30", 6, "out of range")
	f("-99999999999", 6, "out of range")
	f("x", 6, "not a number")
}

func TestDaysFromCivil(t *testing.T) {
	for d := time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC); d.Year() <= 9999; d = d.AddDate(0, 0, 17) {
		if got, want := mysqljson.DaysFromCivil(d.Year(), int(d.Month()), d.Day()), int(d.Unix()/86400); got != want && d.Unix() >= 0 || d.Unix() < 0 && int64(got)*86400 != d.Unix() {
			t.Fatalf("DaysFromCivil(%v) = %d, want %d", d, got, want)
		}
	}
}
