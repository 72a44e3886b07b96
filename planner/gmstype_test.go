package planner_test

import (
	"bytes"
	"testing"
	"time"

	gms "github.com/dolthub/go-mysql-server/sql"
	gmstypes "github.com/dolthub/go-mysql-server/sql/types"

	"github.com/leatdb/leat/connectors"
	"github.com/leatdb/leat/planner"
	"github.com/leatdb/leat/sql/types"
)

func TestGMSType_BothWays(t *testing.T) {
	f := func(declared, back string) {
		t.Helper()
		typ, err := types.Parse(declared)
		if err != nil {
			t.Fatal(err)
		}
		g, err := planner.GMSType(typ)
		if err != nil {
			t.Fatalf("%s: %v", declared, err)
		}
		got, err := planner.FromGMSType(g)
		if err != nil {
			t.Fatalf("%s: %v", declared, err)
		}
		if got.String() != back {
			t.Errorf("%s became %s and then %s, want %s", declared, g, got, back)
		}
	}
	for _, same := range []string{
		"BOOLEAN", "TINYINT", "SMALLINT", "MEDIUMINT", "INT", "BIGINT",
		"TINYINT UNSIGNED", "SMALLINT UNSIGNED", "MEDIUMINT UNSIGNED", "INT UNSIGNED", "BIGINT UNSIGNED",
		"FLOAT", "DOUBLE", "DECIMAL(10,2)", "DECIMAL(38,0)", "DECIMAL(38,30)",
		"CHAR(3)", "VARCHAR(20)", "TINYTEXT", "TEXT", "MEDIUMTEXT", "LONGTEXT",
		"BINARY(3)", "VARBINARY(20)", "TINYBLOB", "BLOB", "MEDIUMBLOB", "LONGBLOB",
		"DATE", "DATETIME", "DATETIME(3)", "TIMESTAMP", "TIMESTAMP(6)", "JSON", "NULL",
	} {
		f(same, same)
	}
	f("TINYINT(1)", "BOOLEAN")
	f("VARCHAR(65535)", "VARCHAR(65535)")
	f("ENUM('a','b')", "VARCHAR(255)")
	f("SET('a','b')", "VARCHAR(255)")
	f("BIT(5)", "VARBINARY(8)")
	f("TIME(2)", "TIME(6)")
	f("YEAR", "SMALLINT")
}

func TestFromGMSType(t *testing.T) {
	f := func(g gms.Type, want string) {
		t.Helper()
		got, err := planner.FromGMSType(g)
		if err != nil {
			t.Fatalf("%s: %v", g, err)
		}
		if got.String() != want {
			t.Errorf("%s is %s, want %s", g, got, want)
		}
	}
	f(gmstypes.MustCreateDecimalType(65, 30), "DECIMAL(38,3)")
	f(gmstypes.MustCreateDecimalType(40, 20), "DECIMAL(38,18)")
	f(gmstypes.MustCreateDecimalType(65, 0), "DECIMAL(38,0)")
	f(gmstypes.Year, "SMALLINT")
	f(gmstypes.MustCreateBitType(7), "BIT(7)")
	f(gmstypes.MustCreateEnumType([]string{"a", "b"}, gms.Collation_Default), "ENUM('a','b')")
	if got, err := planner.FromGMSType(gmstypes.PointType{}); err == nil {
		t.Errorf("a point is %s", got)
	}
}

func TestGMSSchema_HiddenColumns(t *testing.T) {
	rel := planner.Relation{
		Name: "s", Schema: schema(t, "id BIGINT NOT NULL", "_key VARCHAR(3)"),
		Hidden: []connectors.Hidden{{Name: "_offset", Type: types.TypeInt64}, {Name: "_Key", Type: types.TypeBlob}},
	}
	s, err := planner.GMSSchema(rel)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range s {
		names = append(names, c.Name)
	}
	// A declared column shadows the metadata of its name.
	if len(s) != 3 || names[0] != "id" || names[1] != "_key" || names[2] != "_offset" || s[0].Nullable || !s[2].Nullable {
		t.Errorf("schema %v", names)
	}
}

// TestGMSValue_BothWays takes values of every kind to the MySQL engine and back.
func TestGMSValue_BothWays(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	ctx := gms.NewEmptyContext()
	f := func(declared string, v any, loc *time.Location, held any) {
		t.Helper()
		typ, err := types.Parse(declared)
		if err != nil {
			t.Fatal(err)
		}
		g, err := planner.GMSValue(v, typ, loc)
		if err != nil {
			t.Fatalf("%s %v: %v", declared, v, err)
		}
		if at, ok := held.(time.Time); ok {
			if got, _ := g.(time.Time); !got.Equal(at) {
				t.Errorf("%s %v is held as %v, want %v", declared, v, g, held)
			}
		} else if held != nil && g != held {
			t.Errorf("%s %v is held as %v (%T), want %v (%T)", declared, v, g, g, held, held)
		}
		back, err := planner.FromGMSValue(ctx, g, typ, loc)
		if err != nil {
			t.Fatalf("%s %v: %v", declared, v, err)
		}
		if b, ok := v.([]byte); ok {
			if got, _ := back.([]byte); !bytes.Equal(b, got) {
				t.Errorf("%s %v came back as %v", declared, v, back)
			}
		} else if back != v {
			t.Errorf("%s %v (%T) came back as %v (%T)", declared, v, v, back, back)
		}
	}
	f("INT", nil, nil, nil)
	f("BOOLEAN", true, nil, int8(1))
	f("BOOLEAN", false, nil, int8(0))
	f("TINYINT", int64(-128), nil, int8(-128))
	f("SMALLINT", int64(-3), nil, int16(-3))
	f("INT", int64(1<<31-1), nil, int32(1<<31-1))
	f("BIGINT", int64(-1<<63), nil, int64(-1<<63))
	f("TINYINT UNSIGNED", uint64(255), nil, uint8(255))
	f("SMALLINT UNSIGNED", uint64(7), nil, uint16(7))
	f("INT UNSIGNED", uint64(1<<32-1), nil, uint32(1<<32-1))
	f("BIGINT UNSIGNED", uint64(1<<64-1), nil, uint64(1<<64-1))
	f("FLOAT", 1.5, nil, float32(1.5))
	f("DOUBLE", -1e300, nil, -1e300)
	f("DECIMAL(10,2)", "-12.30", nil, nil)
	f("DECIMAL(38,0)", "99999999999999999999999999999999999999", nil, nil)
	f("DECIMAL(2,2)", "0.05", nil, nil)
	f("VARCHAR(9)", "häß", nil, "häß")
	f("BLOB", []byte{0, 255}, nil, nil)
	f("DATE", int64(-1), nil, time.Date(1969, 12, 31, 0, 0, 0, 0, time.UTC))
	f("TIME(6)", int64(86399_999_999), nil, gmstypes.Timespan(86399_999_999))
	f("DATETIME(6)", int64(-1), berlin, time.Date(1969, 12, 31, 23, 59, 59, 999_999_000, time.UTC))
	// An instant becomes the wall clock of the zone, in winter and in summer.
	f("TIMESTAMP(6)", time.Date(2024, 1, 2, 3, 4, 5, 6000, time.UTC).UnixMicro(), berlin, time.Date(2024, 1, 2, 4, 4, 5, 6000, time.UTC))
	f("TIMESTAMP(6)", time.Date(2024, 7, 2, 3, 4, 5, 6000, time.UTC).UnixMicro(), berlin, time.Date(2024, 7, 2, 5, 4, 5, 6000, time.UTC))
	f("TIMESTAMP(6)", time.Date(2024, 7, 2, 3, 4, 5, 6000, time.UTC).UnixMicro(), nil, time.Date(2024, 7, 2, 3, 4, 5, 6000, time.UTC))
	f("JSON", `{"a": [1, "x", null]}`, nil, nil)
}

func TestFromGMSValue_WhatDoesNotFit(t *testing.T) {
	ctx := gms.NewEmptyContext()
	f := func(v any, declared string) {
		t.Helper()
		typ, err := types.Parse(declared)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := planner.FromGMSValue(ctx, v, typ, nil); err == nil {
			t.Errorf("%v became the %s %v", v, declared, got)
		}
	}
	f(int64(128), "TINYINT")
	f(int64(-1), "INT UNSIGNED")
	f(uint64(1<<63), "BIGINT")
	f(100.0, "DECIMAL(4,2)")
	f("x", "INT")
	if _, err := planner.GMSValue("x", types.TypeInt64, nil); err == nil {
		t.Error("a text became a BIGINT")
	}
}

func TestFromGMSValue_RoundsDecimals(t *testing.T) {
	ctx := gms.NewEmptyContext()
	f := func(v any, want string) {
		t.Helper()
		got, err := planner.FromGMSValue(ctx, v, types.NewDecimal(10, 2), nil)
		if err != nil || got != want {
			t.Errorf("%v became %v (%v), want %s", v, got, err, want)
		}
	}
	f("1.005", "1.01")
	f("-1.005", "-1.01")
	f("1.004", "1.00")
	f(int64(7), "7.00")
}
