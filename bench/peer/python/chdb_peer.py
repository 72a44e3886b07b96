"""chDB, ClickHouse in process: large blocks, what no reader of this benchmark
needs (bloom filters, page index, checksums) left away."""

import chdb
import chdb.session

import job

FIELDS = """trip_id Int64, vendor_id Int32, pickup_at DateTime64(3, 'UTC'), dropoff_at DateTime64(3, 'UTC'), passengers Nullable(Int32),
  distance_km Float64, pickup_location_id Int32, dropoff_location_id Int32, rate_code LowCardinality(String), pooled Bool,
  payment_type LowCardinality(String), fare Decimal(10,2), extra Decimal(10,2), tax Decimal(10,2), tip Decimal(10,2),
  tolls Decimal(10,2), total Decimal(10,2), currency LowCardinality(String),
  rider Tuple(id String, rating Float64, os LowCardinality(String)), note String"""


def land(j):
    extra, by, name = "", "", "0"
    if j.partition:
        value = {"month": "toMonth(pickup_at)", "bucket": f"trip_id % {j.bucket}"}.get(j.partition, j.partition)
        by, name = f"PARTITION BY {value}", "{_partition_id}"
        if value != j.partition:
            extra = f", {value} AS {j.partition}"
    session = chdb.session.Session()
    session.query(
        f"""INSERT INTO FUNCTION file('{j.out}/{name}.parquet', 'Parquet') {by}
SELECT trip_id, vendor_id, pickup_at, dropoff_at, passengers, distance_km, pickup_location_id, dropoff_location_id, rate_code, pooled,
  payment_type, fare, extra, tax, tip, tolls, total, currency, rider.id AS rider_id, rider.rating AS rider_rating, rider.os AS rider_os,
  note{extra}
FROM file('{j.input}', 'JSONEachRow', '{FIELDS.replace("'", "''")}') WHERE fare > 0
SETTINGS max_threads = {j.cores}, max_insert_threads = {j.cores}, date_time_input_format = 'best_effort',
  max_insert_block_size = 262144, min_insert_block_size_rows = 262144, max_block_size = 262144,
  output_format_parquet_compression_method = 'zstd', output_format_compression_level = 1, output_format_parquet_string_as_string = 1,
  output_format_parquet_write_bloom_filter = 0, output_format_parquet_write_page_index = 0, output_format_parquet_write_checksums = 0,
  max_partitions_per_insert_block = 0, throw_on_max_partitions_per_insert_block = 0, engine_file_truncate_on_insert = 1"""
    )
    session.close()


def count(j):
    session = chdb.session.Session()
    answer = session.query(
        f"""SELECT COUNT(*), SUM(fare), SUM(tip) FROM file('{j.input}', 'JSONEachRow', 'fare Decimal(10,2), tip Decimal(10,2)')
SETTINGS max_threads = {j.cores}, input_format_skip_unknown_fields = 1""", "CSV")
    row = str(answer).strip().split(",")
    session.close()
    return row


job.run(chdb, land, count)
