"""Reads a table and its dead letters without leat: Iceberg tables by pyiceberg's
plan, Hive tables by listing the folder. Prints the data files, and writes the
rows in the order of the files as CSV: file number, split, position, id; the
dead letters as position and raw bytes in base64."""

import base64
import csv
import sys

import pyarrow.fs as pafs
import pyarrow.parquet as pq
from pyiceberg.catalog.sql import SqlCatalog

(table_format, catalog_file, endpoint, region, access_key, secret_key, root, sink, table, rows_file, letters_file) = sys.argv[1:]

s3 = pafs.S3FileSystem(
    endpoint_override=endpoint.removeprefix("http://"), scheme="http", region=region,
    access_key=access_key, secret_key=secret_key,
)


def files_of(name):
    """The data files of a table, as keys with their bucket, oldest first."""
    if table_format == "hive":
        found = s3.get_file_info(pafs.FileSelector(f"{root}/{name}", recursive=True, allow_not_found=True))
        keys = [f.path for f in found if f.path.endswith(".parquet")]
    else:
        catalog = SqlCatalog("leat", **{
            "uri": f"sqlite:///{catalog_file}", "s3.endpoint": endpoint, "s3.region": region,
            "s3.access-key-id": access_key, "s3.secret-access-key": secret_key,
        })
        if not catalog.table_exists((sink, name)):
            return []
        scan = catalog.load_table((sink, name)).scan()
        keys = [task.file.file_path.removeprefix("s3://") for task in scan.plan_files()]
        planned = sum(task.file.record_count for task in scan.plan_files())
        counted = scan.count()
        if planned != counted:
            raise ValueError(f"table {name}: manifests count {planned} rows, the scan {counted}")
    return sorted(keys)


files = files_of(table)
with open(rows_file, "w", newline="") as out:
    writer = csv.writer(out)
    for i, key in enumerate(files):
        print(key)
        with s3.open_input_file(key) as f:
            rows = pq.ParquetFile(f).read(columns=["split", "position", "id"])
        writer.writerows(zip([i] * len(rows), *(rows[c].to_pylist() for c in ("split", "position", "id"))))

with open(letters_file, "w", newline="") as out:
    writer = csv.writer(out)
    for key in files_of("_dead_letters"):
        with s3.open_input_file(key) as f:
            letters = pq.ParquetFile(f).read(columns=["source_position", "raw"])
        for position, raw in zip(letters["source_position"].to_pylist(), letters["raw"].to_pylist()):
            writer.writerow([position, base64.b64encode(raw).decode()])
