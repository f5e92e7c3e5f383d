"""Inserts, upserts, deletes, flushes, compactions."""
import json

import generate
from ddl import describe
from patience import hung_after
from pymilvus.grpc_gen import milvus_pb2 as pb
from registry import function, poll
from rows import rows_to_columns


@function
def insert(c, name, rows, partition="", db="", with_auto_id=False):
    return write(c, "Insert", name, rows_to_columns(describe(c, name, db).schema, rows, with_auto_id), len(rows), partition, db)


@function
def upsert(c, name, rows, partition="", db=""):
    return write(c, "Upsert", name, rows_to_columns(describe(c, name, db).schema, rows), len(rows), partition, db)


@function
def insert_generated(c, name, start, count, seed=1, partition="", db="", batch=2000, plain=False, upsert=False):
    """Inserts (or upserts) the rows number start .. start+count-1; the same seed makes the same rows."""
    schema = describe(c, name, db).schema
    done = {"count": 0, "timestamp": 0, "ids": [], "first_timestamp": 0}
    for at in range(start, start + count, batch):
        size = min(batch, start + count - at)
        columns = generate.columns(schema, at, size, seed, plain)
        answer = write(c, "Upsert" if upsert else "Insert", name, columns, size, partition, db)
        done["count"] += answer["count"]
        done["timestamp"] = answer["timestamp"]
        done["first_timestamp"] = done["first_timestamp"] or answer["timestamp"]
        if schema.autoID:
            done["ids"].extend(answer["ids"])
    return done


def write(c, method, name, columns, count, partition, db):
    kind = pb.InsertRequest if method == "Insert" else pb.UpsertRequest
    request = kind(collection_name=name, partition_name=partition, fields_data=columns, num_rows=count)
    answer = c.call(method, request, db)
    written = answer.insert_cnt if method == "Insert" else answer.upsert_cnt
    return {"count": written, "timestamp": answer.timestamp, "ids": id_list(answer.IDs)}


def id_list(ids):
    kind = ids.WhichOneof("id_field")
    return [] if kind is None else list(getattr(ids, kind).data)


@function
def delete(c, name, pks=None, start=None, count=None, partition="", db="", batch=2000):
    """Deletes by key: the keys given, or those of the generated rows start .. start+count-1."""
    key = primary_field(describe(c, name, db).schema)
    wanted = pks if pks is not None else generate.primary_keys(key, start, count)
    done = {"count": 0, "timestamp": 0}
    for at in range(0, len(wanted), batch):
        answer = delete_expr(c, name, in_list(key, wanted[at : at + batch]), partition, db)
        done = {"count": done["count"] + answer["count"], "timestamp": answer["timestamp"]}
    return done


@function
def delete_expr(c, name, expr, partition="", db=""):
    answer = c.call("Delete", pb.DeleteRequest(collection_name=name, partition_name=partition, expr=expr), db)
    return {"count": answer.delete_cnt, "timestamp": answer.timestamp}


def primary_field(schema):
    return next(field for field in schema.fields if field.is_primary_key)


LOWEST = -(2**63)


def in_list(field, keys):
    """Milvus' parser cannot read the lowest int64 as a literal, so that key is asked for by its neighbour. (The highest
    one can be inserted, but no query of 2.3.5 returns it.)"""
    if LOWEST in keys:
        others = [key for key in keys if key != LOWEST]
        return f"{field.name} < {LOWEST + 1}" + (f" or {in_list(field, others)}" if others else "")
    listed = ",".join(json.dumps(key, ensure_ascii=False) if isinstance(key, str) else str(key) for key in keys)
    return f"{field.name} in [{listed}]"


@function
def flush(c, name, db=""):
    """Seals and writes every segment, and waits until that is done. Returns the ids of the flushed segments."""
    answer = c.call("Flush", pb.FlushRequest(collection_names=[name]), db, timeout=hung_after())
    segments = list(answer.coll_segIDs[name].data)
    request = pb.GetFlushStateRequest(segmentIDs=segments, collection_name=name)
    if name in answer.coll_flush_ts:
        request.flush_ts = answer.coll_flush_ts[name]
    poll(f"{name} is flushed", lambda: c.call("GetFlushState", request, db).flushed)
    return segments


@function
def compact(c, name, db="", wait=True):
    """Starts a compaction by hand, and waits for its end."""
    request = pb.ManualCompactionRequest(collectionID=describe(c, name, db).collectionID)
    compaction = c.call("ManualCompaction", request, db).compactionID
    state = pb.GetCompactionStateRequest(compactionID=compaction)
    if wait:
        poll(f"{name} is compacted", lambda: c.call("GetCompactionState", state, db).state == 2)
    return compaction
