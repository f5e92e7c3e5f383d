"""Times from outside what a replicator does: one JSON object of arguments on standard input, one of results as output.

{"mode": "count", target, name, rows, timeout}        waits until the target counts `rows`; {"first", "at"}: Unix seconds of
                                                      the first row and of the last
{"mode": "lag", source, target, name, first, count}   seconds from the source's ack until a row is visible, on both sides
"""
import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../stack/driver"))

import grpc  # noqa: E402
import generate  # noqa: E402
from connection import Connection, MilvusError  # noqa: E402
from ddl import describe  # noqa: E402
from pymilvus.grpc_gen import milvus_pb2 as pb  # noqa: E402

EVENTUALLY = 3


def query(connection, name, expr, fields):
    """At Eventually: what the server has now, without waiting for its clock."""
    request = pb.QueryRequest(
        collection_name=name, expr=expr, output_fields=fields, consistency_level=EVENTUALLY,
        use_default_consistency=False, guarantee_timestamp=1,
    )
    return connection.call("Query", request, timeout=10)


def count(connection, name):
    return query(connection, name, "", ["count(*)"]).fields_data[0].scalars.long_data.data[0]


def wait_count(target, name, rows, timeout=300, mode=""):
    connection = Connection(target)
    end = time.time() + timeout
    seen = None
    first = None
    while time.time() < end:
        try:
            seen = count(connection, name)
            if seen > 0 and first is None:
                first = time.time()
            if seen == rows:
                return {"first": first, "at": time.time()}
        except (grpc.RpcError, MilvusError) as error:
            seen = str(error)
        time.sleep(0.02)
    raise TimeoutError(f"{name} has {seen} on the target after {timeout} s, {rows} were expected")


def lag(source, target, name, first, count, mode=""):
    """Rows are looked for on the source and on the target by turns: both under the same conditions."""
    sides = {"source": Connection(source), "target": Connection(target)}
    schema = describe(sides["source"], name).schema
    seconds = {"source": [], "target": []}
    for k in range(2 * count):
        side = "source" if k % 2 == 0 else "target"
        key = first + k
        rows = generate.columns(schema, key, 1, 1, True)
        request = pb.InsertRequest(collection_name=name, fields_data=rows, num_rows=1)
        sides["source"].call("Insert", request)
        acknowledged = time.monotonic()
        while not len(query(sides[side], name, f"id == {key}", ["id"]).fields_data[0].scalars.long_data.data):
            if time.monotonic() - acknowledged > 30:
                raise TimeoutError(f"The row {key} is not on the {side} after 30 s")
            time.sleep(0.005)
        seconds[side].append(time.monotonic() - acknowledged)
        time.sleep(0.11 + 0.037 * (k % 7))  # not in phase with the time ticks
    return seconds


arguments = json.load(sys.stdin)
modes = {"count": wait_count, "lag": lag}
print(json.dumps(modes[arguments["mode"]](**arguments)))
