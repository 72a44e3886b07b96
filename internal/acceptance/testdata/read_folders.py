# Reads three folders of plain files again and again, as programs do that know
# nothing of Leat, until a file says to stop: JSON on S3 and CSV on disk by their
# folders' names with pyarrow's dataset and DuckDB, and Parquet by the partitions
# that a Glue catalog has. Each time there must be, of every partition of the
# topic, all offsets before the position of the newest commit that leat.commits
# showed completed before, none beyond that of the newest entry of the log
# afterwards, and none twice. Writes another file when all readers have seen rows
# being added three times, and prints what each saw last.
import json
import os
import sys
import threading
import time

import botocore.session
import duckdb
import fsspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.fs as pafs
import pymysql
from s3fs import S3FileSystem

endpoint, region, access_key, secret_key, glue_endpoint, mysql, bucket, local, stop, enough = sys.argv[1:]
host, port = mysql.split(":")
s3 = pafs.S3FileSystem(endpoint_override=endpoint.removeprefix("http://"), scheme="http", region=region, access_key=access_key, secret_key=secret_key)
S3FileSystem.cachable = False
files = fsspec.filesystem("s3", endpoint_url=endpoint, key=access_key, secret=secret_key, client_kwargs={"region_name": region}, use_listings_cache=False, skip_instance_cache=True)
duck = duckdb.connect()
duck.register_filesystem(files)
glue = botocore.session.get_session().create_client("glue", region_name=region, endpoint_url=glue_endpoint, aws_access_key_id="id", aws_secret_access_key="key")
COLUMNS = ["p", "o", "id", "part"]


def arrow(folder, filesystem, format):
    return ds.dataset(folder, filesystem=filesystem, format=format, partitioning="hive").to_table(columns=COLUMNS)


def glue_rows():
    tables, pages = [], glue.get_paginator("get_partitions").paginate(DatabaseName="pg", TableName="t")
    for page in pages:
        for p in page["Partitions"]:
            place = p["StorageDescriptor"]["Location"].removeprefix("s3://").rstrip("/")
            rows = ds.dataset(place, filesystem=s3, format="parquet").to_table(columns=COLUMNS[:3])
            tables.append(rows.append_column("part", pa.array([int(p["Values"][0])] * len(rows))))
    return pa.concat_tables(tables)


def with_duckdb(function, pattern):
    return duck.cursor().execute("SELECT p, o, id, part FROM %s('%s', hive_partitioning = true)" % (function, pattern)).to_arrow_table()


# The folder of each stream's table, and its readers.
tables = {
    "pj": (files, bucket + "/pj/t", {
        "pyarrow": lambda: arrow(bucket + "/pj/t", s3, "json"),
        "duckdb": lambda: with_duckdb("read_json", "s3://%s/pj/t/**/*.json" % bucket),
    }),
    "pc": (fsspec.filesystem("file"), local + "/t", {
        "pyarrow": lambda: arrow(local + "/t", None, "csv"),
        "duckdb": lambda: with_duckdb("read_csv", local + "/t/**/*.csv.gz"),
    }),
    "pg": (files, bucket + "/pg/t", {"glue": glue_rows}),
}


def offsets(positions):
    splits = next(iter(positions.values()), {})
    return {int(split): (json.loads(p) if isinstance(p, str) else p)["offset"] for split, p in splits.items()}


def newest_completed(name, known):
    try:
        with pymysql.connect(host=host, port=int(port), user="root", connect_timeout=2, read_timeout=5) as c, c.cursor() as cursor:
            cursor.execute("SELECT positions FROM leat.commits WHERE stream = %s AND completed_at IS NOT NULL ORDER BY generation DESC, epoch DESC LIMIT 1", ("into_" + name,))
            for (positions,) in cursor.fetchall():
                return offsets(json.loads(positions)) or known
    except pymysql.err.Error:
        pass  # it was killed: what it showed before still holds
    return known


def decided(filesystem, folder):
    log = folder + "/_leat/log"
    newest = max(filesystem.ls(log, detail=False, **({"refresh": True} if filesystem is files else {})))
    state = json.loads(filesystem.cat_file(newest))["state"]
    return offsets(json.loads(next(v for k, v in state.items() if k.startswith("leat.stream.")))["positions"])


def check(name, reader, rows, at_least, at_most):
    def wrong(what):
        raise AssertionError("%s of %s: %s; completed %r, decided %r, %d rows" % (reader, name, what, at_least, at_most, len(rows)))

    if not pc.all(pc.equal(pc.subtract(rows["id"], pc.multiply(pc.divide(rows["id"], 3), 3)), pc.cast(rows["part"], rows["id"].type))).as_py():
        wrong("a row is in another partition's folder")
    for p in set(at_least) | set(rows["p"].unique().to_pylist()):
        seen = rows.filter(pc.equal(rows["p"], p))["o"].to_pylist()
        if len(seen) != len(set(seen)):
            wrong("partition %d has rows twice" % p)
        missing = set(range(at_least.get(p, 0))) - set(seen)
        if missing:
            wrong("partition %d lacks %d offsets from %d on" % (p, len(missing), min(missing)))
        if seen and max(seen) >= at_most.get(p, 0):
            wrong("partition %d has offset %d" % (p, max(seen)))


summary, failures = {}, []


def watch(name, filesystem, folder, reader, read):
    seen = summary[name + " " + reader] = {"reads": 0, "grew": 0, "rows": 0}
    at_least, last = {}, False
    while not last and not failures:
        last = os.path.exists(stop)
        at_least = newest_completed(name, at_least)
        try:
            rows = read()
        except (FileNotFoundError, duckdb.IOException, glue.exceptions.EntityNotFoundException, pa.ArrowInvalid) as e:
            if last or any(at_least.values()):
                raise AssertionError("%s of %s: %r; completed %r" % (reader, name, e, at_least))
            continue  # nothing is there yet
        check(name, reader, rows, at_least, decided(filesystem, folder))
        if last and sum(at_least.values()) != len(rows):
            raise AssertionError("leat.commits shows %r completed, and there are %d rows" % (at_least, len(rows)))
        seen["reads"] += 1
        seen["grew"] += len(rows) > seen["rows"]
        seen["rows"] = len(rows)
        if all(s["grew"] >= 3 for s in summary.values()):
            open(enough, "w").close()
        time.sleep(0.1)


threading.excepthook = lambda args: failures.append(args.exc_value) or threading.__excepthook__(args)
threads = [threading.Thread(target=watch, args=(name, filesystem, folder, *r)) for name, (filesystem, folder, readers) in tables.items() for r in readers.items()]
for t in threads:
    t.start()
for t in threads:
    t.join()
if failures:
    sys.exit("a reader has failed")
print(json.dumps(summary))
