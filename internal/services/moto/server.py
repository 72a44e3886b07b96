"""moto's server, with what AWS Glue does and moto does not: UpdateTable and a
batch of partitions are refused as the service refuses them."""

import threading

import moto.glue.models as models
import moto.glue.responses as responses
from moto.glue.exceptions import GlueClientError, InvalidInputException
from moto.server import main

lock = threading.RLock()
update_table = responses.GlueResponse.update_table
create_partitions = responses.GlueResponse.batch_create_partition


class ConcurrentModificationException(GlueClientError):
    def __init__(self):
        super().__init__("ConcurrentModificationException", "Update table failed due to concurrent modifications.")


def current_version(table):
    return str(table.as_dict()["VersionId"])


def locked_update_table(self):
    with lock:
        expected = self.parameters.get("VersionId")
        if expected is not None:
            table = self.glue_backend.get_table(
                self.parameters.get("DatabaseName"), self.parameters["TableInput"]["Name"]
            )
            if current_version(table) != str(expected):
                raise ConcurrentModificationException()
        return update_table(self)


def limited_create_partitions(self):
    if len(self.parameters.get("PartitionInputList") or []) > 100:
        raise InvalidInputException("BatchCreatePartition", "more than 100 partitions")
    return create_partitions(self)


responses.GlueResponse.update_table = locked_update_table
responses.GlueResponse.batch_create_partition = limited_create_partitions
main()
