"""DuckDB: columns= given, so that nothing is inferred; insertion order not kept;
enough open files for each partition to have one."""

import duckdb

import job

FIELDS = """{trip_id: 'BIGINT', vendor_id: 'INTEGER', pickup_at: 'TIMESTAMP', dropoff_at: 'TIMESTAMP', passengers: 'INTEGER',
  distance_km: 'DOUBLE', pickup_location_id: 'INTEGER', dropoff_location_id: 'INTEGER', rate_code: 'VARCHAR', pooled: 'BOOLEAN',
  payment_type: 'VARCHAR', fare: 'DECIMAL(10,2)', extra: 'DECIMAL(10,2)', tax: 'DECIMAL(10,2)', tip: 'DECIMAL(10,2)',
  tolls: 'DECIMAL(10,2)', total: 'DECIMAL(10,2)', currency: 'VARCHAR', rider: 'STRUCT(id VARCHAR, rating DOUBLE, os VARCHAR)',
  note: 'VARCHAR'}"""


def connect(j):
    db = duckdb.connect()
    db.execute(f"SET threads = {j.cores}")
    db.execute("SET enable_progress_bar = false")
    db.execute("SET preserve_insertion_order = false")
    db.execute("SET partitioned_write_max_open_files = 300")
    return db


def land(j):
    db = connect(j)
    extra = {"month": ", month(pickup_at) AS month", "bucket": f", trip_id % {j.bucket} AS bucket"}.get(j.partition, "")
    target, options = j.out + "/0.parquet", "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1"
    if j.partition:
        target, options = j.out, options + f", PARTITION_BY ({j.partition}), WRITE_PARTITION_COLUMNS true, OVERWRITE_OR_IGNORE true"
    db.execute(
        f"""COPY (SELECT trip_id, vendor_id, pickup_at, dropoff_at, passengers, distance_km, pickup_location_id, dropoff_location_id,
  rate_code, pooled, payment_type, fare, extra, tax, tip, tolls, total, currency, rider.id AS rider_id, rider.rating AS rider_rating,
  rider.os AS rider_os, note{extra}
FROM read_json('{j.input}', format = 'newline_delimited', columns = {FIELDS}) WHERE fare > 0) TO '{target}' ({options})"""
    )


def count(j):
    fields = "{fare: 'DECIMAL(10,2)', tip: 'DECIMAL(10,2)'}"
    query = f"SELECT COUNT(*), SUM(fare), SUM(tip) FROM read_json('{j.input}', format = 'newline_delimited', columns = {fields})"
    return connect(j).execute(query).fetchone()


job.run(duckdb, land, count)
