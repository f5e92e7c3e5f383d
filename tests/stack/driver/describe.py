"""What a server holds beside rows, in a form that can be compared between servers."""
from connection import unpairs
from ddl import describe, index_descriptions, list_collections, list_databases, list_partitions, load_state
from pymilvus.grpc_gen import common_pb2, milvus_pb2 as pb
from registry import function
from rows import type_name


@function
def describe_all(c, dbs=None):
    """All databases with all collections: schema, indexes, aliases, partitions, properties, load states. No ids in it,
    so that two servers can be compared as they are."""
    result = {}
    for db in dbs if dbs is not None else list_databases(c):
        result[db] = {name: describe_collection(c, name, db) for name in list_collections(c, db)}
    return result


@function
def describe_collection(c, name, db=""):
    answer = describe(c, name, db)
    partitions = list_partitions(c, name, db)
    return {
        "description": answer.schema.description,
        "auto_id": answer.schema.autoID,
        "dynamic": answer.schema.enable_dynamic_field,
        "fields": [field_to_json(field) for field in answer.schema.fields],
        "shards": answer.shards_num,
        "consistency": common_pb2.ConsistencyLevel.Name(answer.consistency_level),
        "properties": unpairs(answer.properties),
        "aliases": sorted(answer.aliases),
        "indexes": sorted((index_to_json(i) for i in index_descriptions(c, name, db)), key=lambda i: i["name"]),
        "load": load_state(c, name, "", db),
        "partitions": {partition: load_state(c, name, partition, db) for partition in partitions},
    }


def field_to_json(field):
    known = {"name": field.name, "type": type_name(field.data_type), "field_id": field.fieldID}
    if field.element_type:
        known["element_type"] = type_name(field.element_type)
    for name in ("is_primary_key", "autoID", "is_partition_key", "is_dynamic", "description"):
        if getattr(field, name):
            known[name] = getattr(field, name)
    known["params"] = dict(sorted(unpairs(field.type_params).items()))
    return known


def index_to_json(index):
    return {"name": index.index_name, "field": index.field_name, "params": dict(sorted(unpairs(index.params).items()))}


@function
def segments(c, name, db=""):
    """Segments as datacoord knows them: id, partition, rows, state."""
    request = pb.GetPersistentSegmentInfoRequest(dbName=db, collectionName=name)
    return [
        {"id": info.segmentID, "partition_id": info.partitionID, "rows": info.num_rows,
         "state": common_pb2.SegmentState.Name(info.state)}
        for info in c.call("GetPersistentSegmentInfo", request, db).infos
    ]


@function
def stored_rows(c, name, db=""):
    """Rows in flushed segments, deleted ones included: what pymilvus calls num_entities. What is still buffered does not count."""
    answer = c.call("GetCollectionStatistics", pb.GetCollectionStatisticsRequest(collection_name=name), db)
    return int(next(pair.value for pair in answer.stats if pair.key == "row_count"))
