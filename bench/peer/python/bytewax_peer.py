"""Bytewax: a streaming library of one thread for each worker; JSON by orjson,
batches of lines, an Arrow writer for each partition as its sink."""

import os

import bytewax
import bytewax.operators as op
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.testing import run_main, cluster_main
import importlib.metadata

import job

MONEY = {"fare", "extra", "tax", "tip", "tolls", "total"}
SCHEMA = {"trip_id": pa.int64(), "vendor_id": pa.int32(), "passengers": pa.int32(), "distance_km": pa.float64(),
          "pickup_location_id": pa.int32(), "dropoff_location_id": pa.int32(), "pooled": pa.bool_(), "rider_rating": pa.float64()}
ROWS = 20_000  # of a partition that are held before they are written
TIME = pa.timestamp("us", tz="UTC")


class Part(StatefulSourcePartition):
    """Whole lines of the bytes [start, end) of the file, some MiB at a time."""

    def __init__(self, path, start, end):
        self.file = open(path, "rb")
        self.end = end
        if start:
            self.file.seek(start - 1)
            self.file.readline()

    def next_batch(self):
        if self.file.tell() >= self.end:
            raise StopIteration()
        return [self.file.readlines(min(4 << 20, self.end - self.file.tell()))]

    def snapshot(self):
        return self.file.tell()


class Lines(FixedPartitionedSource):
    def __init__(self, path, parts):
        self.path, self.parts = path, parts

    def list_parts(self):
        return [str(i) for i in range(self.parts)]

    def build_part(self, step_id, for_part, resume_state):
        size, i = os.path.getsize(self.path), int(for_part)
        return Part(self.path, size * i // self.parts, size * (i + 1) // self.parts)


def table(lines):
    rows = [r for r in map(orjson.loads, lines) if r["fare"] > 0]
    columns = {}
    for name in job.COLUMNS:
        if name.startswith("rider_"):
            values = [r["rider"][name[6:]] for r in rows]
        else:
            values = [r.get(name) for r in rows]
        if name in MONEY:
            columns[name] = pc.round(pa.array(values, pa.float64()), 2).cast(pa.decimal128(10, 2), safe=False)
        elif name.endswith("_at"):
            columns[name] = pc.assume_timezone(pc.strptime(pc.utf8_slice_codeunits(pa.array(values), 0, 19), "%Y-%m-%dT%H:%M:%S", "us"), "UTC")
            millis = pc.utf8_slice_codeunits(pa.array(values), 20, 23).cast(pa.int64())
            columns[name] = pc.add(columns[name].cast(pa.int64()), pc.multiply(millis, 1000)).cast(TIME)
        else:
            columns[name] = pa.array(values, SCHEMA.get(name, pa.string()))
    return pa.table(columns)


class Writer(StatelessSinkPartition):
    def __init__(self, j, worker):
        self.out, self.partition, self.bucket, self.worker = j.out, j.partition, j.bucket, worker
        self.held, self.open = {}, {}

    def put(self, key, rows):
        held = self.held.setdefault(key, [])
        held.append(rows)
        if sum(r.num_rows for r in held) >= ROWS:
            self.write(key)

    def write(self, key):
        rows = pa.concat_tables(self.held.pop(key))
        if key not in self.open:
            name = f"{self.out}/{self.partition}={key}-{self.worker}.parquet"
            self.open[key] = pq.ParquetWriter(name, rows.schema, compression="zstd", compression_level=1)
        self.open[key].write_table(rows)

    def write_batch(self, tables):
        for rows in tables:
            if not self.partition:
                self.put("all", rows)
                continue
            if self.partition == "month":
                rows = rows.append_column("month", pc.month(rows["pickup_at"]))
            if self.partition == "bucket":
                rows = rows.append_column("bucket", pa.array([t % self.bucket for t in rows["trip_id"].to_pylist()], pa.int64()))
            rows = rows.sort_by(self.partition)
            runs = pc.run_end_encode(rows[self.partition].combine_chunks())
            begun = 0
            for end, key in zip(runs.run_ends.to_pylist(), runs.values.to_pylist()):
                self.put(key, rows.slice(begun, end - begun))
                begun = end

    def close(self):
        for key in list(self.held):
            self.write(key)
        for w in self.open.values():
            w.close()


class Parquet(DynamicSink):
    def __init__(self, j):
        self.job = j

    def build(self, step_id, worker_index, worker_count):
        return Writer(self.job, worker_index)


def land(j):
    flow = Dataflow("trips")
    lines = op.input("read", flow, Lines(j.input, j.cores))
    op.output("write", op.map("decode", lines, table), Parquet(j))
    if j.cores == 1:
        run_main(flow)
    else:
        cluster_main(flow, [], 0, worker_count_per_proc=j.cores)


bytewax.__version__ = importlib.metadata.version("bytewax")
job.run(bytewax, land)
