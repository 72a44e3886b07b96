"""Prints the data files of the table that are committed. There may be others: what was written before a rebalance is
written again after it."""

import json
import sys

from pyiceberg.catalog.sql import SqlCatalog

path, warehouse, table = sys.argv[1:]
catalog = SqlCatalog("iceberg", uri="sqlite:///" + path, warehouse="file://" + warehouse)
files = [task.file.file_path for task in catalog.load_table("bench." + table).scan().plan_files()]
print(json.dumps([f.removeprefix("file:") for f in files]))
