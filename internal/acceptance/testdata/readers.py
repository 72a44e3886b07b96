"""Reads the trips with pyiceberg, pyarrow's dataset and DuckDB, and prints as
JSON what each of them sees, and what pyiceberg knows of schema and pruning."""

import collections
import json
import sys

import duckdb
import fsspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.fs as pafs
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.expressions import And, EqualTo

catalog_file, endpoint, region, access_key, secret_key, sink, table_name = sys.argv[1:]

catalog = SqlCatalog("leat", **{
    "uri": f"sqlite:///{catalog_file}", "s3.endpoint": endpoint, "s3.region": region,
    "s3.access-key-id": access_key, "s3.secret-access-key": secret_key,
})
table = catalog.load_table((sink, table_name))
paths = [task.file.file_path for task in table.scan().plan_files()]


def summary(rows: pa.Table) -> dict:
    """The same numbers as the test expects; exact, so through Python's integers."""
    def total(column):
        return pc.sum(column).as_py()

    def counts(name):
        return dict(sorted((str(k), v) for k, v in collections.Counter(rows[name].to_pylist()).items()))

    return {
        "rows": rows.num_rows, "boroughs": counts("borough"), "months": counts("month"), "ids": total(rows["trip_id"]),
        "cents": int(total(rows["fare"]) * 100), "seats": total(rows["seats"]), "meters": total(rows["meters"]),
        "micros": total(rows["picked_at"].cast(pa.int64())), "tip_cents": int(total(rows["tip"]) * 100),
        "no_tip": rows["tip"].null_count, "notes": total(pc.utf8_length(rows["note"])),
    }


def with_pyarrow():
    s3 = pafs.S3FileSystem(endpoint_override=endpoint.removeprefix("http://"), scheme="http", region=region,
                           access_key=access_key, secret_key=secret_key)
    return ds.dataset([p.removeprefix("s3://") for p in paths], filesystem=s3, format="parquet").to_table()


def with_duckdb():
    connection = duckdb.connect()
    connection.register_filesystem(fsspec.filesystem("s3", endpoint_url=endpoint, key=access_key, secret=secret_key,
                                                     client_kwargs={"region_name": region}))
    rows = connection.execute("SELECT * EXCLUDE (picked_at), epoch_us(picked_at) AS picked_at FROM read_parquet($1, hive_partitioning = false)", [paths]).to_arrow_table()
    return rows


def planned(row_filter=None):
    tasks = list((table.scan(row_filter=row_filter) if row_filter is not None else table.scan()).plan_files())
    return [len(tasks), sum(task.file.record_count for task in tasks)]


schema = table.schema()
json.dump({
    "schema": {f.name: str(f.field_type) + (" required" if f.required else "") for f in schema.fields},
    "partition": [f"{f.name} {f.transform}" for f in table.spec().fields],
    "readers": {
        "pyiceberg": summary(table.scan().to_arrow()),
        "pyarrow": summary(with_pyarrow()),
        "duckdb": summary(with_duckdb()),
    },
    "pruned": {
        "all": planned(),
        "partition": planned(And(EqualTo("borough", "Queens"), EqualTo("month", 3))),
        "statistics": planned(EqualTo("trip_id", 1001)),
    },
    "letters": catalog.load_table((sink, "_dead_letters")).scan().count(),
}, sys.stdout)
