"""DataFusion: as many target partitions as cores, schema given."""

import datafusion
import pyarrow as pa

import job

MONEY = pa.decimal128(10, 2)
TIME = pa.timestamp("us", tz="UTC")
SCHEMA = pa.schema(
    [("trip_id", pa.int64()), ("vendor_id", pa.int32()), ("pickup_at", TIME), ("dropoff_at", TIME), ("passengers", pa.int32()),
     ("distance_km", pa.float64()), ("pickup_location_id", pa.int32()), ("dropoff_location_id", pa.int32()), ("rate_code", pa.string()),
     ("pooled", pa.bool_()), ("payment_type", pa.string()), ("fare", MONEY), ("extra", MONEY), ("tax", MONEY), ("tip", MONEY),
     ("tolls", MONEY), ("total", MONEY), ("currency", pa.string()),
     ("rider", pa.struct([("id", pa.string()), ("rating", pa.float64()), ("os", pa.string())])), ("note", pa.string())]
)


def connect(j, schema, single_file=True):
    config = datafusion.SessionConfig({
        "datafusion.execution.target_partitions": str(j.cores),
        "datafusion.execution.keep_partition_by_columns": "true",
        "datafusion.execution.parquet.compression": "zstd(1)",
        "datafusion.execution.parquet.bloom_filter_on_write": "false",
        # Else each of the files gets a task for each of its columns.
        "datafusion.execution.parquet.allow_single_file_parallelism": str(single_file).lower(),
    })
    context = datafusion.SessionContext(config)
    context.register_json("trips", j.input, schema=schema, file_extension=".ndjson")
    return context


def land(j):
    context = connect(j, SCHEMA, not j.partition)
    extra = {"month": ", date_part('month', pickup_at) AS month", "bucket": f", trip_id % {j.bucket} AS bucket"}.get(j.partition, "")
    by = f"PARTITIONED BY ({j.partition})" if j.partition else ""
    context.sql(
        f"""COPY (SELECT trip_id, vendor_id, pickup_at, dropoff_at, passengers, distance_km, pickup_location_id, dropoff_location_id,
  rate_code, pooled, payment_type, fare, extra, tax, tip, tolls, total, currency, rider['id'] AS rider_id, rider['rating'] AS rider_rating,
  rider['os'] AS rider_os, note{extra}
FROM trips WHERE fare > 0) TO '{j.out}/' STORED AS PARQUET {by}"""
    ).collect()


def count(j):
    context = connect(j, pa.schema([("fare", MONEY), ("tip", MONEY)]))
    row = context.sql("SELECT COUNT(*), SUM(fare), SUM(tip) FROM trips").collect()[0]
    return [row.column(i)[0].as_py() for i in range(3)]


job.run(datafusion, land, count)
