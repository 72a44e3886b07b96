# Reads a topic with Confluent's client and its Avro deserializer, as a reader of
# committed records, up to its end, and prints the rows as produce_messages.py does.
import json
import sys

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

brokers, registry, topic = sys.argv[1:]
deserializer = AvroDeserializer(SchemaRegistryClient({"url": registry}))
consumer = Consumer({"bootstrap.servers": brokers, "group.id": "reader", "isolation.level": "read_committed", "enable.partition.eof": True, "auto.offset.reset": "earliest"})
left = {p: None for p in consumer.list_topics(topic, 30).topics[topic].partitions}
consumer.assign([TopicPartition(topic, p, 0) for p in left])
of_time = lambda t, spec: None if t is None else t.isoformat(sep=" ", timespec=spec).removesuffix("+00:00")
while left:
    message = consumer.poll(30)
    if message is None:
        sys.exit("the broker does not answer")
    if message.error():
        if message.error().name() != "_PARTITION_EOF":
            sys.exit(str(message.error()))
        del left[message.partition()]
        continue
    v = deserializer(message.value(), SerializationContext(topic, MessageField.VALUE))
    if message.key().decode() != str(v["id"]):
        sys.exit("key %r of %r" % (message.key(), v))
    print(json.dumps([
        topic, str(v["id"]), json.loads(v["customer"]), str(v["total"]), str(v["fee"]), of_time(v["placed"], "milliseconds"), of_time(v["seen"], "microseconds"),
        of_time(v["wall"], "milliseconds"), str(v["day"]), v["clock"].isoformat("microseconds"), v["hour"].isoformat("milliseconds"), v["uid"], json.loads(v["tags"]),
        v["price"], v["ratio"], str(int(v["paid"])), v["raw"].hex().upper(), v["channel"], v["note"], str(v["big"]),
    ]))
