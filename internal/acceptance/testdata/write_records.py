# Writes Avro object container files with fastavro and delimited Protobuf with
# Google's library into folders below one, and prints the rows of each folder: a
# JSON array a line, of the folder's name and the values as MySQL writes them.
import datetime as dt
import decimal
import json
import os
import sys

import fastavro
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, proto

root = sys.argv[1]
UTC = dt.timezone.utc
decimal.getcontext().prec = 50


def field(name, type, **more):
    return dict(name=name, type=type, **more)


# Files of two versions of a schema, one a codec, each in several blocks; the last
# one's tree contains itself.
tree = dict(type="record", name="Tree", fields=[field("v", "int"), field("next", ["null", "Tree"], default=None)])
common = [
    field("id", "long"), field("amount", dict(type="bytes", logicalType="decimal", precision=38, scale=4)), field("at", dict(type="long", logicalType="timestamp-micros")),
    field("kind", dict(type="enum", name="Kind", symbols=["A", "B", "C"])), field("tree", tree), field("bag", dict(type="map", values=dict(type="array", items=["null", "double", "boolean"]))),
]
first = fastavro.parse_schema(dict(type="record", name="row", fields=common))
second = fastavro.parse_schema(dict(type="record", name="row", fields=[field("added", "string", default="x")] + common))
os.mkdir(os.path.join(root, "avro"))
id = 0
for codec in ["null", "deflate", "snappy", "zstandard", "bzip2"]:
    schema = second if codec in ("snappy", "bzip2") else first
    records = []
    for i in range(500):
        amount = decimal.Decimal((-1) ** i * (10 ** (i % 38) + i)).scaleb(-4)
        at = dt.datetime(1970, 1, 1, tzinfo=UTC) + dt.timedelta(microseconds=(i - 250) * 86400123456)
        v = {
            "id": id, "amount": amount, "at": at, "kind": "ABC"[i % 3], "tree": {"v": 1, "next": {"v": i, "next": None} if i % 2 else None},
            "bag": {"k%d" % n: [None, n / 4, True] for n in range(i % 3)},
        }
        print(json.dumps(["avro", str(id), format(amount, "f"), at.isoformat(sep=" ", timespec="microseconds")[:26], v["kind"], v["tree"], v["bag"], "new" if schema is second else None]))
        if schema is second:
            v["added"] = "new"
        records.append(v)
        id += 1
    with open(os.path.join(root, "avro", codec + ".avro"), "wb") as out:
        fastavro.writer(out, schema, records, codec=codec, sync_interval=4000)

# Protobuf with a length before each message; the type comes from a descriptor
# set, and old files lack a field that is new.
F = descriptor_pb2.FieldDescriptorProto
file = descriptor_pb2.FileDescriptorProto(name="m.proto", package="m", syntax="proto2")
message = file.message_type.add(name="M")
for number, (name, type, label) in enumerate([
    ("id", F.TYPE_INT64, F.LABEL_REQUIRED), ("name", F.TYPE_STRING, F.LABEL_OPTIONAL), ("points", F.TYPE_SINT32, F.LABEL_REPEATED), ("sub", F.TYPE_MESSAGE, F.LABEL_OPTIONAL),
    ("limit", F.TYPE_INT32, F.LABEL_OPTIONAL), ("flag", F.TYPE_BOOL, F.LABEL_OPTIONAL),
], 1):
    f = message.field.add(name=name, number=number, type=type, label=label)
    if name == "sub":
        f.type_name = ".m.M"
    if name == "limit":
        f.default_value = "42"
    if name == "points":
        f.options.packed = True
pool = descriptor_pool.DescriptorPool()
pool.Add(file)
M = message_factory.GetMessageClass(pool.FindMessageTypeByName("m.M"))
with open(os.path.join(root, "m.desc"), "wb") as out:
    out.write(descriptor_pb2.FileDescriptorSet(file=[file]).SerializeToString())
os.mkdir(os.path.join(root, "protobuf"))
for n in range(3):
    with open(os.path.join(root, "protobuf", "%d.bin" % n), "wb") as out:
        for i in range(n * 300, n * 300 + 300):
            m = M(id=i, points=range(-(i % 4), i % 4))
            if i % 3:
                m.name = "n" * (i % 200)
            if i % 5 == 0:
                m.sub.id = i
                m.sub.name = "ß"
            if n:
                m.flag = i % 2 == 0
            proto.serialize_length_prefixed(m, out)
            print(json.dumps(["protobuf", str(i), m.name if i % 3 else None, list(m.points), "ß" if i % 5 == 0 else None, None, str(int(m.flag)) if n else None]))
