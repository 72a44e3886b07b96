package mysqlserver_test

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/dolthub/vitess/go/mysql"
	"github.com/dolthub/vitess/go/sqltypes"

	"github.com/leatdb/leat/sql/mysqlserver"
)

// TestServer_FieldsAsMySQL8 has the descriptions of columns say what those of a
// MySQL 8.0 server say of the same declarations: clients tell texts from bytes by
// the character set, and floating-point from fixed numbers by the decimals.
func TestServer_FieldsAsMySQL8(t *testing.T) {
	tests := []struct {
		declared                        string
		typ                             int64
		charset, length, decimals, flag uint32
	}{
		{"BOOLEAN", 1, 63, 1, 0, 0x0},
		{"TINYINT", 1, 63, 4, 0, 0x0},
		{"TINYINT UNSIGNED", 1, 63, 3, 0, 0x20},
		{"SMALLINT", 2, 63, 6, 0, 0x0},
		{"INT", 3, 63, 11, 0, 0x0},
		{"INT UNSIGNED NOT NULL", 3, 63, 10, 0, 0x21},
		{"BIGINT", 8, 63, 20, 0, 0x0},
		{"BIGINT UNSIGNED NOT NULL", 8, 63, 20, 0, 0x21},
		{"FLOAT", 4, 63, 12, 31, 0x0},
		{"DOUBLE", 5, 63, 22, 31, 0x0},
		{"DOUBLE NOT NULL", 5, 63, 22, 31, 0x1},
		{"DECIMAL(12,2)", 246, 63, 14, 2, 0x0},
		{"DECIMAL(38,10)", 246, 63, 40, 10, 0x0},
		{"DATE", 10, 63, 10, 0, 0x80},
		{"TIME", 11, 63, 10, 0, 0x80},
		{"TIME(3)", 11, 63, 14, 3, 0x80},
		{"DATETIME", 12, 63, 19, 0, 0x80},
		{"DATETIME(6) NOT NULL", 12, 63, 26, 6, 0x81},
		{"TIMESTAMP", 7, 63, 19, 0, 0x80},
		{"TIMESTAMP(3)", 7, 63, 23, 3, 0x80},
		{"CHAR(3)", 254, 255, 12, 0, 0x0},
		{"VARCHAR(20)", 253, 255, 80, 0, 0x0},
		{"TEXT", 252, 255, 262140, 0, 0x10},
		{"VARBINARY(9)", 253, 63, 9, 0, 0x80},
		{"BLOB", 252, 63, 65535, 0, 0x90},
		{"JSON", 245, 63, 4294967295, 0, 0x90},
	}
	server := serve(t, open(t), mysqlserver.Config{})
	c := connect(t, server)
	var declared, names []string
	for i, f := range tests {
		names = append(names, fmt.Sprint("c", i))
		declared = append(declared, names[i]+" "+f.declared)
	}
	columns := strings.Join(names, ", ")
	land(t, c, "described", strings.Join(declared, ", "), `{"c5": 1, "c7": 1, "c10": 1, "c17": "2026-07-01 10:11:12"}`)

	host, port, err := net.SplitHostPort(server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := mysql.Connect(context.Background(), &mysql.ConnParams{Host: host, Port: n, Uname: "root", Charset: "utf8mb4"})
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	r, err := raw.ExecuteFetch("SELECT "+columns+" FROM described LIMIT 0", 10, true)
	if err != nil {
		t.Fatal(err)
	}
	const numeric = 0x8000 // what clients add to numbers
	for i, f := range tests {
		got := r.Fields[i]
		got.Flags &^= numeric
		if typ, _ := sqltypes.TypeToMySQL(got.Type); typ != f.typ || got.Charset != f.charset || got.ColumnLength != f.length || got.Decimals != f.decimals || got.Flags != f.flag {
			t.Errorf("%s: type %d, charset %d, length %d, decimals %d, flags %#x, MySQL has %d, %d, %d, %d, %#x", f.declared,
				typ, got.Charset, got.ColumnLength, got.Decimals, got.Flags, f.typ, f.charset, f.length, f.decimals, f.flag)
		}
	}
}
