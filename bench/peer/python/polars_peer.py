"""Polars: the streaming engine; money is read as a double and made a decimal,
since its JSON reader makes no decimals; times are parsed by a given format."""

import os
import sys

if sys.argv[1] != "version":
    os.environ["POLARS_MAX_THREADS"] = sys.argv[4 if sys.argv[1] == "land" else 3]

import polars as pl

import job

SCHEMA = {
    "trip_id": pl.Int64, "vendor_id": pl.Int32, "pickup_at": pl.String, "dropoff_at": pl.String, "passengers": pl.Int32,
    "distance_km": pl.Float64, "pickup_location_id": pl.Int32, "dropoff_location_id": pl.Int32, "rate_code": pl.String,
    "pooled": pl.Boolean, "payment_type": pl.String, "fare": pl.Float64, "extra": pl.Float64, "tax": pl.Float64, "tip": pl.Float64,
    "tolls": pl.Float64, "total": pl.Float64, "currency": pl.String,
    "rider": pl.Struct({"id": pl.String, "rating": pl.Float64, "os": pl.String}), "note": pl.String,
}
MONEY = ["fare", "extra", "tax", "tip", "tolls", "total"]


def land(j):
    rows = pl.scan_ndjson(j.input, schema=SCHEMA).filter(pl.col("fare") > 0)
    rows = rows.with_columns(
        *(pl.col(c).str.to_datetime("%Y-%m-%dT%H:%M:%S%.3fZ", time_unit="us", time_zone="UTC") for c in ["pickup_at", "dropoff_at"]),
        *(pl.col(c).round(2).cast(pl.Decimal(10, 2)) for c in MONEY),
        *(pl.col("rider").struct.field(f).alias("rider_" + f) for f in ["id", "rating", "os"]),
    ).select(job.COLUMNS)
    if j.partition == "month":
        rows = rows.with_columns(pl.col("pickup_at").dt.month().alias("month"))
    if j.partition == "bucket":
        rows = rows.with_columns((pl.col("trip_id") % j.bucket).alias("bucket"))
    target = j.out + "/0.parquet"
    if j.partition:
        target = pl.PartitionBy(j.out, key=j.partition, include_key=True)
    rows.sink_parquet(target, compression="zstd", compression_level=1, mkdir=True)


def count(j):
    rows = pl.scan_ndjson(j.input, schema={"fare": pl.Float64, "tip": pl.Float64})
    return rows.select(pl.len(), pl.col("fare").sum(), pl.col("tip").sum()).collect(engine="streaming").row(0)


job.run(pl, land, count)
