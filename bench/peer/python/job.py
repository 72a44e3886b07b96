"""What a peer is asked to do, and how it answers.

A peer is called as

    land INPUT OUT CORES COLUMN   lands the file of events as Parquet in folder OUT,
                                  partitioned by COLUMN ("" for none)
    count INPUT CORES             COUNT(*), SUM(fare), SUM(tip) over the file
    version                       the version of its library

It prints the seconds that its work took, without the start of the interpreter
and the imports, and for count the three values before.
"""

import json
import os
import sys
import time

# The 22 columns of the result; the partition column lies beside them.
COLUMNS = """trip_id vendor_id pickup_at dropoff_at passengers distance_km pickup_location_id dropoff_location_id
rate_code pooled payment_type fare extra tax tip tolls total currency rider_id rider_rating rider_os note""".split()


class Job:
    def __init__(self, args):
        if args[0] == "land":
            self.input, self.out, cores, self.partition = args[1:]
            os.makedirs(self.out, exist_ok=True)
        else:
            self.input, cores = args[1:]
        self.cores = int(cores)
        # What a column is computed by; "bucket<n>" is for any number of partitions.
        self.bucket = 0
        if args[0] == "land" and self.partition.startswith("bucket"):
            self.bucket, self.partition = int(self.partition[6:]), "bucket"


def run(module, land, count=None):
    if sys.argv[1] == "version":
        print(module.__version__)
        return
    job = Job(sys.argv[1:])
    begun = time.perf_counter()
    if sys.argv[1] == "land":
        land(job)
    else:
        rows, fare, tip = count(job)
        took = time.perf_counter() - begun
        print(f"{rows} {float(fare):.2f} {float(tip):.2f}")
        print(json.dumps({"seconds": took}))
        return
    print(json.dumps({"seconds": time.perf_counter() - begun}))
