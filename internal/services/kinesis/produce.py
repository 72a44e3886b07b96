# Writes the numbers of a range to a stream, each under itself as partition key:
# produce.py ENDPOINT STREAM FROM TO SIZE. With a SIZE above 1 so many of them
# are packed into each record, as the Kinesis Producer Library packs them.
import sys

import boto3
from aws_kinesis_agg.aggregator import RecordAggregator

endpoint, stream, first, last, size = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])
client = boto3.client("kinesis", endpoint_url=endpoint)


def put(batch):
    while batch:
        answer = client.put_records(StreamName=stream, Records=batch[:500])
        failed = [r for r, a in zip(batch, answer["Records"]) if a.get("ErrorCode")]
        batch = failed + batch[500:]


def aggregated(values):
    aggregator = RecordAggregator()
    for v in values:
        if aggregator.add_user_record(str(v), str(v).encode()) is not None:
            raise SystemExit("an aggregate is full")
    key, hash_key, data = aggregator.clear_and_get().get_contents()
    record = {"PartitionKey": key, "Data": data}
    if hash_key is not None:
        record["ExplicitHashKey"] = hash_key
    return record


numbers = list(range(first, last))
if size > 1:
    put([aggregated(numbers[i : i + size]) for i in range(0, len(numbers), size)])
else:
    put([{"PartitionKey": str(v), "Data": str(v).encode()} for v in numbers])
