"""Writes to a table of leat's while leat does: appends rows of its own, rewrites
the data files of a partition, expires snapshots. Again when another writer was
faster. Prints how many rows and ids of each there are."""

import json
import sys
from datetime import datetime, timedelta

import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import CommitFailedException, ValidationException
from pyiceberg.expressions import EqualTo
from sqlalchemy.exc import OperationalError

catalog_file, endpoint, region, access_key, secret_key, database, name, mode = sys.argv[1:]
catalog = SqlCatalog("leat", **{
    "uri": f"sqlite:///{catalog_file}", "s3.endpoint": endpoint, "s3.region": region,
    "s3.access-key-id": access_key, "s3.secret-access-key": secret_key,
    "py-io-impl": "pyiceberg.io.fsspec.FsspecFileIO",
})
FIRST = 1_000_000_000  # leat's ids are below
APPENDS = 12


def again(act):
    for _ in range(200):
        try:
            return act(catalog.load_table((database, name)))
        except (CommitFailedException, ValidationException, OperationalError):
            pass
    raise RuntimeError("another writer was always faster")


def append(i):
    def act(table):
        row = {"id": FIRST + i, "part": i}
        table.append(pa.Table.from_pylist([row], schema=table.schema().as_arrow()))
    return act


def rewrite(part):  # an early one, in which leat lands nothing any more
    def act(table):
        rows = table.scan(row_filter=EqualTo("part", part)).to_arrow()
        table.overwrite(rows, overwrite_filter=EqualTo("part", part))
    return act


def expire(table):
    table.maintenance.expire_snapshots().older_than(datetime.now() + timedelta(seconds=-1)).commit()


if mode == "write":
    for i in range(APPENDS):
        again(append(i))
        if i % 4 == 3:
            again(rewrite(i // 4))
            again(expire)
ids = catalog.load_table((database, name)).scan().to_arrow()["id"].to_pylist()
ours, theirs = [i for i in ids if i < FIRST], [i for i in ids if i >= FIRST]
print(json.dumps({"ours": len(ours), "ours_distinct": len(set(ours)), "theirs": len(theirs), "theirs_distinct": len(set(theirs))}))
