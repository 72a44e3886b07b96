# Writes Parquet files with pyarrow and DuckDB and CSV files with pyarrow, DuckDB
# and Python's csv into folders below one, and prints the rows of each folder: a
# JSON array a line, of the folder's name and the values as MySQL writes them.
import csv
import datetime as dt
import decimal
import gzip
import json
import os
import sys

import duckdb
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

root = sys.argv[1]
UTC = dt.timezone.utc
decimal.getcontext().prec = 50
N = 700
text = ["plain", "", 'quo"te', "com,ma", "new\nline", "ta\tb", "tréma \U0001f600", None, " pad ", "\\N", "NULL"]


def column(f):
    return [None if i % 11 == 10 else f(i) for i in range(N)]


at = column(lambda i: dt.datetime(2026, 1, 1, tzinfo=UTC) + dt.timedelta(hours=i * 37, microseconds=i * 1001))
naive = [a and a.replace(tzinfo=None) for a in at]
decimals = lambda p, s: column(lambda i: decimal.Decimal((-1) ** i * (i ** (p // 4) % 10**p)).scaleb(-s))
table = pa.table({
    "id": pa.array(range(N), pa.int64()),
    "i8": pa.array(column(lambda i: i % 256 - 128), pa.int8()), "i16": pa.array(column(lambda i: i * 46 - 32768), pa.int16()), "i32": pa.array(column(lambda i: i * 3067833 - 2**30), pa.int32()),
    "u8": pa.array(column(lambda i: i % 256), pa.uint8()), "u32": pa.array(column(lambda i: 2**32 - 1 - i), pa.uint32()), "u64": pa.array(column(lambda i: 2**64 - 1 - i), pa.uint64()),
    "f32": pa.array(column(lambda i: i / 8), pa.float32()), "f64": pa.array(column(lambda i: i / 7), pa.float64()), "b": pa.array(column(lambda i: i % 3 == 0), pa.bool_()),
    "d5": pa.array(decimals(5, 2), pa.decimal128(5, 2)), "d18": pa.array(decimals(18, 6), pa.decimal128(18, 6)), "d38": pa.array(decimals(38, 10), pa.decimal128(38, 10)),
    "s": pa.array([text[i % len(text)] for i in range(N)]), "code": pa.array(column(lambda i: "c%d" % (i % 5))).dictionary_encode(), "large": pa.array(column(lambda i: "x" * (i % 300)), pa.large_string()),
    "raw": pa.array(column(lambda i: bytes([i % 256, 0])), pa.binary()), "fixed": pa.array(column(lambda i: bytes([i % 256] * 3)), pa.binary(3)),
    "day": pa.array([a and a.date() for a in at], pa.date32()), "clock": pa.array([a and a.time() for a in naive], pa.time64("us")),
    "ts": pa.array(at, pa.timestamp("us", "UTC")), "wall": pa.array(naive, pa.timestamp("us")), "ns": pa.array(naive, pa.timestamp("ns")),
    "list": pa.array(column(lambda i: [None, i] * (i % 3)), pa.list_(pa.int32())), "st": pa.array(column(lambda i: {"a": i, "b": {"c": ["x", None]}}), pa.struct([("a", pa.int64()), ("b", pa.struct([("c", pa.list_(pa.string()))]))])),
    "mp": pa.array(column(lambda i: [("k", i / 2)] * (i % 2)), pa.map_(pa.string(), pa.float64())),
})
time = lambda t, spec="microseconds": None if t is None else t.replace(tzinfo=None).isoformat(sep=" ", timespec=spec)
number = lambda v: None if v is None else str(v)
mysql = {
    "f32": lambda v: v, "f64": lambda v: v, "b": lambda v: v if v is None else str(int(v)), "raw": lambda v: v if v is None else v.hex().upper(), "fixed": lambda v: v if v is None else v.hex().upper(),
    "d5": lambda v: v if v is None else format(v, "f"), "d18": lambda v: v if v is None else format(v, "f"), "d38": lambda v: v if v is None else format(v, "f"),
    "clock": lambda v: v if v is None else v.isoformat("microseconds"), "ts": time, "wall": time, "ns": time,
    "s": lambda v: v, "code": lambda v: v, "large": lambda v: v, "list": lambda v: v, "st": lambda v: v, "mp": lambda v: v if v is None else dict(v),
}
values = {name: (naive if name == "ns" else table[name].to_pylist()) for name in table.column_names}


def rows(folder, names, first=0, change={}):
    for i in range(N):
        print(json.dumps([folder] + [str(first + i) if name == "id" else change.get(name, mysql.get(name, number))(values[name][i]) for name in names]))


def numbered(first):
    return table.set_column(0, "id", pa.array(range(first, first + N), pa.int64()))


# Parquet: the format's versions, pages, codecs and encodings.
folder = os.path.join(root, "parquet")
os.mkdir(folder)
plain = ["id", "i32", "f64", "d18", "ts"]
for n, options in enumerate([
    dict(compression="none", version="1.0", data_page_version="1.0"),
    dict(compression="snappy", version="2.6", data_page_version="2.0", row_group_size=64),
    dict(compression="gzip", version="2.4", use_dictionary=False, data_page_size=512),
    dict(compression="zstd", version="2.6", use_dictionary=False, data_page_version="2.0",
         column_encoding={"id": "DELTA_BINARY_PACKED", "i32": "DELTA_BINARY_PACKED", "s": "DELTA_BYTE_ARRAY", "large": "DELTA_LENGTH_BYTE_ARRAY", "f64": "BYTE_STREAM_SPLIT", "fixed": "BYTE_STREAM_SPLIT"}),
    dict(compression="brotli", version="2.6", store_decimal_as_integer=True, write_page_index=True, write_page_checksum=True),
    dict(compression="lz4", version="2.6", use_deprecated_int96_timestamps=True),
]):
    pq.write_table(numbered(n * N), os.path.join(folder, "%d.parquet" % n), **options)
    # Format 1.0 knows no nanoseconds and no unsigned 32 bits, INT96 no zone.
    rows("parquet", table.column_names, n * N)
folder = os.path.join(root, "duckdb")
os.mkdir(folder)
db = duckdb.connect()
# Its DELTA pages of unsigned 32 bits are out of range for pyarrow too.
duck = [name for name in table.column_names if name not in ("fixed", "ns", "u32")]
db.register("t", table.select(duck))
db.execute("COPY (FROM t WHERE id < 350) TO '%s/a.parquet' (FORMAT parquet, COMPRESSION zstd, PARQUET_VERSION V2, ROW_GROUP_SIZE 2048)" % folder)
db.execute("COPY (FROM t WHERE id >= 350) TO '%s/b.parquet' (FORMAT parquet, COMPRESSION snappy)" % folder)
rows("duckdb", duck)

# CSV: quotes and line breaks in them, three writers and their NULLs.
flat = ["id", "i16", "u64", "f64", "d18", "s", "day", "wall"]
for name, write in {
    "csv_arrow": lambda path: pa.csv.write_csv(table.select(flat), path),
    "csv_duckdb": lambda path: db.execute("COPY (SELECT %s FROM t) TO '%s' (FORMAT csv, HEADER, NULLSTR '~')" % (", ".join(flat), path)),
}.items():
    os.mkdir(os.path.join(root, name))
    write(os.path.join(root, name, "a.csv"))
    rows(name, flat)
os.mkdir(os.path.join(root, "csv_python"))
for n, (open_file, suffix, end) in enumerate([(open, ".csv", "\r\n"), (gzip.open, ".csv.gz", "\n")]):
    with open_file(os.path.join(root, "csv_python", str(n) + suffix), "wt", newline="", encoding="utf-8") as out:
        w = csv.writer(out, lineterminator=end)
        w.writerow(flat)
        for i in range(N):
            w.writerow([n * N + i if name == "id" else "\\N" if values[name][i] is None else values[name][i] for name in flat])
    # A NULL is spelled like a text here, which only a quote would tell apart.
    rows("csv_python", flat, n * N, {"s": lambda v: None if v == "\\N" else v})
