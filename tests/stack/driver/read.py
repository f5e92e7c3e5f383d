"""Rows back from the server, all of them, and fingerprints of them."""
import hashlib
import json

import grpc
from connection import MilvusError
from ddl import describe, list_partitions, load_state
from patience import hung_after
from pymilvus.grpc_gen import milvus_pb2 as pb
from registry import function, poll
from rows import META, TYPE, decode_columns
from write import in_list, primary_field


@function
def count(c, name, partition="", db=""):
    answer = query(c, name, "", ["count(*)"], [partition] if partition else [], db)
    return answer.fields_data[0].scalars.long_data.data[0]


@function
def query_rows(c, name, expr, fields=("*",), partitions=(), db="", vectors="list", json_form="parsed"):
    answer = query(c, name, expr, list(fields), list(partitions), db)
    return as_rows(decode_columns(answer.fields_data, vectors, json_form))


@function
def found_by(c, name, field, values, db=""):
    """What a user finds who asks for one value of a field after the other: the sorted primary keys of `field == value`, a
    list a value, in the order of the values."""
    key = primary_field(describe(c, name, db).schema).name
    since = c.call("AllocTimestamp", pb.AllocTimestampRequest()).timestamp
    found = []
    for value in values:
        answer = query(c, name, f"{field} == {json.dumps(value)}", [key], [], db, since)
        found.append(sorted(decode_columns(answer.fields_data).get(key, [])))
    return found


def query(c, name, expr, fields, partitions, db, since=0):
    """At Strong consistency; `since`, a timestamp of the server, asks for all that was written before it instead."""
    request = pb.QueryRequest(
        collection_name=name, expr=expr, output_fields=fields, partition_names=partitions, consistency_level=0,
        use_default_consistency=False, guarantee_timestamp=since,
    )
    return c.call("Query", request, db, timeout=hung_after())


def as_rows(columns):
    names = list(columns)
    return [dict(zip(names, values)) for values in zip(*columns.values())]


@function
def query_all(c, name, db="", vectors="list", json_form="parsed", by_partition=True, page=2000):
    """Every row with every field at Strong consistency, sorted by partition and key, `$partition` beside the fields.
    Reads the keys first and then the rows by key, so that no limit of the server and no order matters."""
    return [row for rows in pages(c, name, db, vectors, json_form, by_partition, page) for row in rows]


@function
def query_to_file(c, name, path, db="", vectors="hex", json_form="parsed", by_partition=True, page=2000):
    """As query_all, to a file of one JSON row a line; returns how many."""
    total = 0
    with open(path, "w") as out:
        for rows in pages(c, name, db, vectors, json_form, by_partition, page):
            total += len(rows)
            out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    return total


@function
def digest(c, name, db="", by_partition=True, page=2000):
    """Count and SHA-256 over every row with every field, per partition: equal digests mean equal content."""
    result = {}
    for rows in pages(c, name, db, "hex", "parsed", by_partition, page):
        for row in rows:
            entry = result.setdefault(row.get("$partition", ""), {"count": 0, "hash": hashlib.sha256()})
            entry["count"] += 1
            entry["hash"].update(json.dumps(row, sort_keys=True, ensure_ascii=False).encode() + b"\n")
    return {partition: {"count": e["count"], "sha256": e["hash"].hexdigest()} for partition, e in sorted(result.items())}


def pages(c, name, db, vectors, json_form, by_partition, page):
    schema = describe(c, name, db).schema
    key = primary_field(schema)
    keyed = any(field.is_partition_key for field in schema.fields)
    fields = [field.name for field in schema.fields if not field.is_dynamic]
    if schema.enable_dynamic_field:
        fields.append(META)
    partitions = list_partitions(c, name, db) if by_partition and not keyed else [""]
    # Strong, for all queries at once: otherwise each of them would wait for a time tick of its own.
    since = c.call("AllocTimestamp", pb.AllocTimestampRequest()).timestamp
    everything = f"{key.name} >= 0 or {key.name} < 0" if key.data_type == TYPE["Int64"] else f'{key.name} >= ""'
    for partition in partitions:
        if partition and load_state(c, name, partition, db) != "Loaded":
            raise MilvusError("Query", 101, f"partition {partition} of {name} is not loaded, so its rows cannot be read")
        chosen = [partition] if partition else []
        keys = sorted(decode_columns(query(c, name, everything, [key.name], chosen, db, since).fields_data).get(key.name, []))
        for at in range(0, len(keys), page):
            expr = in_list(key, keys[at : at + page])
            answer = query(c, name, expr, fields, chosen, db, since)
            rows = as_rows(decode_columns(answer.fields_data, vectors, json_form))
            rows.sort(key=lambda row: row[key.name])
            yield [{**({"$partition": partition} if partition else {}), **row} for row in rows]


@function
def wait_queryable(c, name, db=""):
    """Waits until a loaded collection answers: after a server was killed that takes until its old session has expired,
    30 s and more, while the server itself says it is healthy long before."""
    poll(f"{name} answers a query", lambda: answers(c, name, db), 0.3)


def answers(c, name, db):
    try:
        count(c, name, "", db)
        return True
    except (grpc.RpcError, MilvusError):
        return False
