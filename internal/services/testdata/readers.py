"""Writes an Iceberg table to S3 with pyiceberg and reads it back with each reader."""

import sys

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pymysql
import pytz
from pyiceberg.catalog.sql import SqlCatalog

endpoint, access_key, secret_key, catalog_file, data_file = sys.argv[1:]

catalog = SqlCatalog(
    "leat",
    **{
        "uri": f"sqlite:///{catalog_file}",
        "warehouse": "s3://lake",
        "s3.endpoint": endpoint,
        "s3.access-key-id": access_key,
        "s3.secret-access-key": secret_key,
        "s3.region": "us-east-1",
        "py-io-impl": "pyiceberg.io.fsspec.FsspecFileIO",
    },
)
rows = pa.table({"id": pa.array([1, 2, 3], pa.int64())})
catalog.create_namespace("lake")
table = catalog.create_table("lake.t", schema=rows.schema)
table.append(rows)
print(sum(catalog.load_table("lake.t").scan().to_arrow()["id"].to_pylist()))

pq.write_table(rows, data_file)
print(duckdb.sql(f"SELECT sum(id) FROM read_parquet('{data_file}')").fetchone()[0])
print(duckdb.sql("SELECT TIMESTAMPTZ '2026-01-01 00:00:00+00'").fetchone()[0].astimezone(pytz.utc).year)
print(pymysql.paramstyle)
