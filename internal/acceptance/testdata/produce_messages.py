# Writes messages with Confluent's client and serializers, Avro into one topic and
# Protobuf into two, and prints for each topic the rows that they are: a JSON array
# a line, of the topic and the values as MySQL writes them.
import datetime as dt
import decimal
import json
import struct
import sys
import uuid

from confluent_kafka import Producer
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2

brokers, registry, avro_topic, proto_topic, text_topic, count = sys.argv[1:]
count = int(count)
client = SchemaRegistryClient({"url": registry})
producer = Producer({"bootstrap.servers": brokers, "linger.ms": 20})
UTC = dt.timezone.utc


def send(topic, serializer, value, row):
    producer.produce(topic, serializer(value, SerializationContext(topic, MessageField.VALUE)))
    producer.poll(0)
    print(json.dumps([topic] + row))


# Avro: a schema and the one that came after it.
def field(name, type, **more):
    return dict(name=name, type=type, **more)


def logical(type, name, **more):
    return dict(type=type, logicalType=name, **more)


address = dict(type="record", name="Address", fields=[field("city", "string"), field("zip", ["null", "string"], default=None)])
customer = dict(type="record", name="Customer", fields=[
    field("name", "string"),
    field("tier", dict(type="enum", name="Tier", symbols=["BASIC", "GOLD"], default="BASIC")),
    field("address", ["null", address], default=None),
])
ref = dict(type="record", name="Ref", fields=[field("kind", "string"), field("to", "Tier")])
common = [
    field("id", "long"),
    field("customer", customer),
    field("total", logical("bytes", "decimal", precision=12, scale=2)),
    field("fee", dict(type="fixed", name="Fee", size=6, logicalType="decimal", precision=9, scale=3)),
    field("placed", logical("long", "timestamp-millis")),
    field("seen", logical("long", "timestamp-micros")),
    field("wall", logical("long", "local-timestamp-millis")),
    field("day", logical("int", "date")),
    field("clock", logical("long", "time-micros")),
    field("hour", logical("int", "time-millis")),
    field("uid", logical("string", "uuid")),
    field("tags", dict(type="array", items="string")),
    field("counts", dict(type="map", values="long")),
    field("lines", dict(type="array", items=dict(type="record", name="Line", fields=[field("sku", "string"), field("n", ["null", "int"], default=None)]))),
    field("payload", ["null", "long", "string", ref], default=None),
    field("price", "double"),
    field("ratio", "float"),
    field("paid", "boolean"),
    field("raw", "bytes"),
    field("hash", dict(type="fixed", name="Hash", size=4)),
]
first = dict(type="record", name="Order", namespace="shop", fields=common + [field("note", ["null", "string"], default=None)])
second = dict(type="record", name="Order", namespace="shop", fields=[field("channel", "string", default="web")] + common)
avro = [AvroSerializer(client, json.dumps(first)), AvroSerializer(client, json.dumps(second))]

for i in range(count):
    later = i >= count // 2
    when = dt.datetime(2026, 1, 2, 3, 4, 5, 678901, UTC) - dt.timedelta(days=400 * i, microseconds=i)
    millis = when.replace(microsecond=when.microsecond // 1000 * 1000)
    total = decimal.Decimal(i * i * 12345 - 1000000).scaleb(-2)
    fee = decimal.Decimal(-i * 77 + 5).scaleb(-3)
    payload = [None, i << 40, "text %d" % i, ("shop.Ref", {"kind": "k", "to": "GOLD"})][i % 4]
    value = {
        "id": (-1) ** i * (i << 33), "total": total, "fee": fee, "placed": millis, "seen": when, "wall": millis.replace(tzinfo=None), "day": when.date(),
        "clock": when.time(), "hour": millis.time(), "uid": uuid.UUID(int=i << 77 | i), "tags": ["ä%d" % i, '"', ""][: i % 4], "counts": {"a": i, "b c": -i} if i % 3 else {},
        "customer": {"name": "name %d \u4e16\U0001f600" % i, "tier": ["BASIC", "GOLD"][i % 2], "address": [None, {"city": "Bath", "zip": None}, {"city": "Ulm", "zip": "89073"}][i % 3]},
        "lines": [{"sku": "s%d" % n, "n": n if n % 2 else None} for n in range(i % 5)], "payload": payload, "price": i / 3, "ratio": i / 4, "paid": i % 2 == 0,
        "raw": bytes([i % 256, 0, 255]), "hash": bytes([1, 2, 3, i % 256]),
    }
    if later:
        value["channel"] = "shop"
    else:
        value["note"] = None if i % 2 else "note\n%d" % i
    of_time = lambda t, spec: t.isoformat(sep=" ", timespec=spec).removesuffix("+00:00")
    send(avro_topic, avro[later], value, [
        str(value["id"]), value["customer"], str(total), str(fee), of_time(millis, "milliseconds"), of_time(when, "microseconds"), of_time(millis, "milliseconds"), str(when.date()),
        when.time().isoformat("microseconds"), millis.time().isoformat("milliseconds"), str(value["uid"]), value["tags"], value["counts"], value["lines"],
        [None, str(i << 40), json.dumps(value["payload"]), {"kind": "k", "to": "GOLD"}][i % 4], float(i / 3), float(i / 4), str(int(value["paid"])),
        value["raw"].hex().upper(), value["hash"].hex().upper(), "shop" if later else None, None if later else value["note"],
    ])

# Protobuf: once as the serializer registers it, a descriptor in base64, once as
# the source text that other languages register.
F = descriptor_pb2.FieldDescriptorProto
file = descriptor_pb2.FileDescriptorProto(name="shop/order.proto", package="shop", syntax="proto3", dependency=["google/protobuf/timestamp.proto"])
file.message_type.add(name="Header").field.add(name="trace", number=1, type=F.TYPE_STRING, label=F.LABEL_OPTIONAL)
order = file.message_type.add(name="Order")
status = order.enum_type.add(name="Status")
for number, name in enumerate(["UNKNOWN", "OPEN", "SHIPPED"]):
    status.value.add(name=name, number=number)
line = order.nested_type.add(name="Line")
line.field.add(name="sku", number=1, type=F.TYPE_STRING, label=F.LABEL_OPTIONAL)
line.field.add(name="n", number=2, type=F.TYPE_UINT32, label=F.LABEL_OPTIONAL)
entry = order.nested_type.add(name="StockEntry")
entry.options.map_entry = True
entry.field.add(name="key", number=1, type=F.TYPE_STRING, label=F.LABEL_OPTIONAL)
entry.field.add(name="value", number=2, type=F.TYPE_SINT64, label=F.LABEL_OPTIONAL)
order.oneof_decl.add(name="contact")
order.oneof_decl.add(name="_note")
for number, (name, type, more) in enumerate([
    ("id", F.TYPE_SINT64, {}), ("placed_at", F.TYPE_MESSAGE, {"type_name": ".google.protobuf.Timestamp"}), ("status", F.TYPE_ENUM, {"type_name": ".shop.Order.Status"}),
    ("lines", F.TYPE_MESSAGE, {"type_name": ".shop.Order.Line", "label": F.LABEL_REPEATED}), ("stock", F.TYPE_MESSAGE, {"type_name": ".shop.Order.StockEntry", "label": F.LABEL_REPEATED}),
    ("email", F.TYPE_STRING, {"oneof_index": 0}), ("phone", F.TYPE_FIXED64, {"oneof_index": 0}), ("note", F.TYPE_STRING, {"oneof_index": 1, "proto3_optional": True}),
    ("plain", F.TYPE_STRING, {}), ("price", F.TYPE_DOUBLE, {}), ("small", F.TYPE_FLOAT, {}), ("paid", F.TYPE_BOOL, {}), ("raw", F.TYPE_BYTES, {}),
    ("numbers", F.TYPE_INT32, {"label": F.LABEL_REPEATED}), ("big", F.TYPE_UINT64, {}), ("header", F.TYPE_MESSAGE, {"type_name": ".shop.Header"}),
], 1):
    order.field.add(name=name, number=number, type=type, **{"label": F.LABEL_OPTIONAL, **more})
pool = descriptor_pool.DescriptorPool()
well_known = descriptor_pb2.FileDescriptorProto()
timestamp_pb2.DESCRIPTOR.CopyToProto(well_known)
pool.Add(well_known)
pool.Add(file)
Order = message_factory.GetMessageClass(pool.FindMessageTypeByName("shop.Order"))
text = """syntax = "proto3";
package shop;
import "google/protobuf/timestamp.proto";
message Header { string trace = 1; }
message Order {
  enum Status { UNKNOWN = 0; OPEN = 1; SHIPPED = 2; }
  message Line { string sku = 1; uint32 n = 2; }
  sint64 id = 1;
  google.protobuf.Timestamp placed_at = 2;
  Status status = 3;
  repeated Line lines = 4;
  map<string, sint64> stock = 5;
  oneof contact { string email = 6; fixed64 phone = 7; }
  optional string note = 8;
  string plain = 9;
  double price = 10;
  float small = 11;
  bool paid = 12;
  bytes raw = 13;
  repeated int32 numbers = 14;
  uint64 big = 15;
  Header header = 16;
}
"""
text_id = client.register_schema(text_topic + "-value", Schema(text, "PROTOBUF"))
proto = {
    proto_topic: ProtobufSerializer(Order, client, {"use.deprecated.format": False}),
    # The serializer wants the registry to translate the text; Order is the second
    # type of the file.
    text_topic: lambda m, _: struct.pack(">bI", 0, text_id) + bytes([2, 2]) + m.SerializeToString(),
}
for topic, serializer in proto.items():
    for i in range(count):
        m = Order(id=(-1) ** i * (i << 33), status=i % 3, price=i / 3, small=i / 4, paid=i % 2 == 1, raw=bytes([i % 256, 0]), numbers=range(-1, i % 6), big=(1 << 64) - 1 - i)
        when = dt.datetime(2026, 1, 2, 3, 4, 5, 678901, UTC) - dt.timedelta(days=400 * i)
        if i % 7:
            m.placed_at.FromDatetime(when)
            m.header.trace = "t%d" % i
        for n in range(i % 4):
            m.lines.add(sku="s%d" % n, n=n)
        for key in ["", "ö", "z"][: i % 4]:
            m.stock[key] = -i
        if i % 3 == 1:
            m.email = "e%d@x" % i
        elif i % 3 == 2:
            m.phone = i
        if i % 2:
            m.note = "n" * (i % 5)
        m.plain = "" if i % 2 else "p"
        send(topic, serializer, m, [
            str(m.id), when.isoformat(sep=" ", timespec="microseconds").removesuffix("+00:00") if i % 7 else None, ["UNKNOWN", "OPEN", "SHIPPED"][i % 3],
            [{"sku": "s%d" % n, "n": n} for n in range(i % 4)], {key: -i for key in ["", "ö", "z"][: i % 4]}, m.email if i % 3 == 1 else None, str(i) if i % 3 == 2 else None,
            m.note if i % 2 else None, m.plain, m.price, m.small, str(int(m.paid)), m.raw.hex().upper(), list(m.numbers), str(m.big), {"trace": "t%d" % i} if i % 7 else None,
        ])
if producer.flush(60):
    sys.exit("the broker does not take all messages")
