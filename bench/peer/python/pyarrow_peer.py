"""pyarrow: Arrow's C++ JSON reader, block by block, and its dataset writer."""

from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.json as pj

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


def column(name):
    return pc.field("rider", name[6:]) if name.startswith("rider_") else pc.field(name)


def land(j):
    pa.set_cpu_count(j.cores)
    pa.set_io_thread_count(j.cores)
    columns = {name: column(name) for name in job.COLUMNS}
    if j.partition == "month":
        columns["month"] = pc.month(pc.field("pickup_at"))
    if j.partition == "bucket":
        t = pc.field("trip_id")
        columns["bucket"] = pc.subtract(t, pc.multiply(pc.divide(t, pc.scalar(j.bucket)), pc.scalar(j.bucket)))
    reader = ds.JsonFileFormat(read_options=pj.ReadOptions(block_size=16 << 20), parse_options=pj.ParseOptions(explicit_schema=SCHEMA, unexpected_field_behavior="ignore"))
    rows = ds.dataset(j.input, schema=SCHEMA, format=reader).scanner(columns=columns, filter=pc.field("fare") > pa.scalar(Decimal("0.00"), MONEY))
    write = ds.ParquetFileFormat().make_write_options(compression="zstd", compression_level=1)
    by = None
    if j.partition:
        # The writer takes the column out of the file: it is in the path.
        by = ds.partitioning(pa.schema([rows.projected_schema.field(j.partition)]), flavor="hive")
    ds.write_dataset(rows, j.out, format="parquet", file_options=write, partitioning=by, max_open_files=6000, max_partitions=6000,
                     existing_data_behavior="overwrite_or_ignore")


job.run(pa, land)
