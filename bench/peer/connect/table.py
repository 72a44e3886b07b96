"""Makes the table that Kafka Connect's Iceberg sink writes to, with typed columns: the sink itself would make times and money
text and doubles."""

import sys

from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import BucketTransform, IdentityTransform, MonthTransform
from pyiceberg.types import BooleanType, DecimalType, DoubleType, IntegerType, LongType, NestedField, StringType, TimestamptzType

path, warehouse, table, column, partitions = sys.argv[1:]
money, text, number, time = DecimalType(10, 2), StringType(), IntegerType(), TimestamptzType()
columns = [
    ("trip_id", LongType()), ("vendor_id", number), ("pickup_at", time), ("dropoff_at", time), ("passengers", number),
    ("distance_km", DoubleType()), ("pickup_location_id", number), ("dropoff_location_id", number), ("rate_code", text),
    ("pooled", BooleanType()), ("payment_type", text), ("fare", money), ("extra", money), ("tax", money), ("tip", money),
    ("tolls", money), ("total", money), ("currency", text), ("rider_id", text), ("rider_rating", DoubleType()), ("rider_os", text),
    ("note", text),
]
schema = Schema(*(NestedField(i + 1, name, kind, required=False) for i, (name, kind) in enumerate(columns)))
fields = {
    "": [],
    "month": [PartitionField(3, 1000, MonthTransform(), "month")],
    "pickup_location_id": [PartitionField(7, 1000, IdentityTransform(), "pickup_location_id")],
    "bucket": [PartitionField(1, 1000, BucketTransform(int(partitions)), "bucket")],
}[column]
catalog = SqlCatalog("iceberg", uri="sqlite:///" + path, warehouse="file://" + warehouse)
catalog.create_namespace_if_not_exists("bench")
catalog.create_table(
    "bench." + table, schema, partition_spec=PartitionSpec(*fields),
    properties={"write.parquet.compression-codec": "zstd", "write.parquet.compression-level": "1", "format-version": "2"},
)
