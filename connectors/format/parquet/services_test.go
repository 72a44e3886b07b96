//go:build services

package parquet_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/leatdb/leat/internal/services"
)

// otherWriters makes the same rows files of pyarrow, in its newest and its oldest
// version of the format, and of DuckDB.
const otherWriters = `
import datetime, decimal, random, sys
import duckdb
import pyarrow as pa, pyarrow.parquet as pq
random.seed(5)
folder, n = sys.argv[1], 3000
utc = datetime.timezone.utc
def some(make, nulls=0.1):
    return [None if random.random() < nulls else make() for _ in range(n)]
def moment():
    return datetime.datetime(1960, 1, 1, tzinfo=utc) + datetime.timedelta(microseconds=random.randrange(4 * 10**15))
base = sorted(random.randrange(-10**6, 10**6) for _ in range(n))
texts = ["", "a", "a ", "a\t", "b" * 50, "\u00fc" * 100, "z" * 5000, "\U0001f600"]
plain = [m.replace(tzinfo=None) for m in sorted(moment() for _ in range(n))]
table = pa.table({
    "id": pa.array(base, pa.int64()),
    "u32": pa.array([abs(b) * 2000 for b in base], pa.uint32()),
    "u64": pa.array([abs(b) * 10**13 for b in base], pa.uint64()),
    "tiny": pa.array([b % 100 - 50 for b in base], pa.int8()),
    "price": pa.array([None if i % 10 == 0 else decimal.Decimal(b).scaleb(-3) for i, b in enumerate(base)], pa.decimal128(30, 3)),
    "small": pa.array([decimal.Decimal(b).scaleb(-2) for b in base], pa.decimal128(9, 2)),
    "ratio": pa.array([float("nan") if i % 7 == 0 else float("-inf") if i == 1500 else b / 7 for i, b in enumerate(base)], pa.float64()),
    "name": pa.array(sorted(some(lambda: random.choice(texts), 0)), pa.string()),
    "word": pa.array(some(lambda: random.choice(texts)), pa.string()).dictionary_encode(),
    "day": pa.array([m.date() for m in plain], pa.date32()),
    "us": pa.array(plain, pa.timestamp("us")),
    "ms": pa.array([m.replace(microsecond=m.microsecond // 1000 * 1000) for m in plain], pa.timestamp("ms")),
    "ns": pa.array(plain, pa.timestamp("ns")),
    "tz": pa.array([m.replace(tzinfo=utc) for m in plain], pa.timestamp("us", "Europe/Berlin")),
    "nothing": pa.array([None] * n, pa.int32()),
})
pq.write_table(table, folder + "/new.parquet", row_group_size=150, version="2.6")
pq.write_table(table, folder + "/old.parquet", row_group_size=150, version="1.0", store_schema=False, use_dictionary=False, coerce_timestamps="us", allow_truncated_timestamps=True)
pq.write_table(table, folder + "/decimals.parquet", row_group_size=150, store_decimal_as_integer=True)
pq.write_table(table, folder + "/none.parquet", row_group_size=150, write_statistics=False)
rows = table
duckdb.sql("COPY (SELECT * FROM rows, range(4) ORDER BY id) TO '" + folder + "/duckdb.parquet' (FORMAT parquet, ROW_GROUP_SIZE 2048)")
`

// TestStatistics_OfOtherWriters excludes row groups of files that others wrote.
func TestStatistics_OfOtherWriters(t *testing.T) {
	dir := t.TempDir()
	services.RunPython(t, otherWriters, dir)
	for _, name := range []string{"new", "old", "decimals", "duckdb", "none"} {
		content, err := os.ReadFile(filepath.Join(dir, name+".parquet"))
		if err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) {
			columns := []expectation{
				{"id BIGINT", yes}, {"u32 INT UNSIGNED", yes}, {"u64 BIGINT UNSIGNED", yes}, {"tiny TINYINT", few}, {"price DECIMAL(30,3)", yes}, {"price DECIMAL(12,1)", yes},
				{"small DECIMAL(9,2)", yes}, {"ratio DOUBLE", few}, {"name TEXT", few}, {"name CHAR(200)", few}, {"word TEXT", few}, {"day DATE", yes},
				{"us DATETIME(6)", yes}, {"us DATETIME", yes}, {"ms DATETIME(3)", yes}, {"ns DATETIME(6)", few}, {"tz TIMESTAMP(6)", yes}, {"tz TIMESTAMP", yes}, {"nothing INT", few},
			}
			if name == "none" {
				for i := range columns {
					columns[i].can = no
				}
			}
			checkStatistics(t, rand.New(rand.NewPCG(5, 6)), content, columns)
		})
	}
}
