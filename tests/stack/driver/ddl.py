"""Databases, collections, partitions, aliases, indexes, load states."""
from connection import MilvusError, pairs
from pymilvus.grpc_gen import common_pb2, milvus_pb2 as pb, schema_pb2
from registry import function, poll
from rows import type_number

CONSISTENCY = {"Strong": 0, "Session": 1, "Bounded": 2, "Eventually": 3, "Customized": 4}


@function
def create_database(c, name):
    c.call("CreateDatabase", pb.CreateDatabaseRequest(db_name=name))


@function
def drop_database(c, name):
    """Drops the database with all collections in it."""
    if name not in list_databases(c):
        return
    for collection in list_collections(c, db=name):
        drop_collection(c, collection, db=name)
    c.call("DropDatabase", pb.DropDatabaseRequest(db_name=name))


@function
def list_databases(c):
    return sorted(c.call("ListDatabases", pb.ListDatabasesRequest()).db_names)


@function
def create_collection(
    c, name, fields, db="", description="", shards=1, consistency="Bounded", dynamic=False, properties=None,
    num_partitions=0, partitions=(), indexes=(), load=False,
):
    """Fields: {name, type, primary?, auto_id?, dim?, max_length?, element_type?, max_capacity?, partition_key?,
    description?, params?}. With `indexes` ({field, name?, params}) and `load` the collection is ready to be asked."""
    schema = schema_pb2.CollectionSchema(name=name, description=description, enable_dynamic_field=dynamic)
    for field in fields:
        schema.fields.append(field_schema(field))
    schema.autoID = any(field.autoID for field in schema.fields)
    request = pb.CreateCollectionRequest(
        collection_name=name, schema=schema.SerializeToString(), shards_num=shards,
        consistency_level=CONSISTENCY[consistency], properties=pairs(properties), num_partitions=num_partitions,
    )
    c.call("CreateCollection", request, db)
    for partition in partitions:
        create_partition(c, name, partition, db)
    for index in indexes:
        create_index(c, name, index["field"], index.get("params", {}), index.get("name", ""), db, wait=False)
    if load:
        load_collection(c, name, db)
    return ids(c, name, db)


def field_schema(spec):
    schema = schema_pb2.FieldSchema(
        name=spec["name"], data_type=type_number(spec["type"]), is_primary_key=spec.get("primary", False),
        autoID=spec.get("auto_id", False), is_partition_key=spec.get("partition_key", False),
        description=spec.get("description", ""),
    )
    if "element_type" in spec:
        schema.element_type = type_number(spec["element_type"])
    parameters = {key: str(spec[key]) for key in ("dim", "max_length", "max_capacity") if key in spec}
    schema.type_params.extend(pairs({**parameters, **spec.get("params", {})}))
    return schema


@function
def has_collection(c, name, db=""):
    return name in list_collections(c, db)


@function
def list_collections(c, db=""):
    return sorted(c.call("ShowCollections", pb.ShowCollectionsRequest(), db).collection_names)


@function
def drop_collection(c, name, db="", missing_ok=True):
    """Drops a collection with its aliases. One that is not there is no error unless `missing_ok` is false."""
    if missing_ok and name not in list_collections(c, db):
        return
    for alias in describe(c, name, db).aliases:
        drop_alias(c, alias, db)
    c.call("DropCollection", pb.DropCollectionRequest(collection_name=name), db)


@function
def rename_collection(c, name, new_name, db="", new_db=""):
    c.call("RenameCollection", pb.RenameCollectionRequest(oldName=name, newName=new_name, newDBName=new_db or db), db)


@function
def alter_collection(c, name, properties, db=""):
    c.call("AlterCollection", pb.AlterCollectionRequest(collection_name=name, properties=pairs(properties)), db)


@function
def truncate_names(c, prefix):
    """Drops every collection, and every database, whose name begins with `prefix`: cleaning up after a test."""
    for db in list_databases(c):
        if db.startswith(prefix):
            drop_database(c, db)
            continue
        for name in list_collections(c, db):
            if name.startswith(prefix):
                drop_collection(c, name, db)


def describe(c, name, db=""):
    return c.call("DescribeCollection", pb.DescribeCollectionRequest(collection_name=name), db)


@function
def ids(c, name, db=""):
    """Ids and channels of a collection: what the log and the metadata call it."""
    answer = describe(c, name, db)
    shown = c.call("ShowPartitions", pb.ShowPartitionsRequest(collection_name=name), db)
    return {
        "collection_id": answer.collectionID,
        "vchannels": list(answer.virtual_channel_names),
        "pchannels": list(answer.physical_channel_names),
        "partition_ids": dict(zip(shown.partition_names, shown.partitionIDs)),
        "created_timestamp": answer.created_timestamp,
    }


@function
def create_partition(c, name, partition, db=""):
    c.call("CreatePartition", pb.CreatePartitionRequest(collection_name=name, partition_name=partition), db)


@function
def drop_partition(c, name, partition, db="", release=True):
    """Drops a partition; a loaded one must be released first, which `release` does."""
    if release and load_state(c, name, partition, db) != "NotLoad":
        release_partitions(c, name, [partition], db)
    c.call("DropPartition", pb.DropPartitionRequest(collection_name=name, partition_name=partition), db)


@function
def list_partitions(c, name, db=""):
    return sorted(c.call("ShowPartitions", pb.ShowPartitionsRequest(collection_name=name), db).partition_names)


@function
def create_alias(c, name, alias, db=""):
    c.call("CreateAlias", pb.CreateAliasRequest(collection_name=name, alias=alias), db)


@function
def alter_alias(c, name, alias, db=""):
    c.call("AlterAlias", pb.AlterAliasRequest(collection_name=name, alias=alias), db)


@function
def drop_alias(c, alias, db=""):
    c.call("DropAlias", pb.DropAliasRequest(alias=alias), db)


@function
def create_index(c, name, field, params, index_name="", db="", wait=True):
    """`params`: {index_type, metric_type, params: {...}}, sent as they are."""
    request = pb.CreateIndexRequest(
        collection_name=name, field_name=field, index_name=index_name, extra_params=pairs(params)
    )
    c.call("CreateIndex", request, db)
    if wait:
        wait_index(c, name, db)


@function
def wait_index(c, name, db=""):
    poll(f"the index of {name} is built", lambda: all(index.state == 3 for index in index_descriptions(c, name, db)))


@function
def alter_index(c, name, index_name, params, db=""):
    request = pb.AlterIndexRequest(collection_name=name, index_name=index_name, extra_params=pairs(params))
    c.call("AlterIndex", request, db)


@function
def drop_index(c, name, field, index_name="", db=""):
    c.call("DropIndex", pb.DropIndexRequest(collection_name=name, field_name=field, index_name=index_name), db)


def index_descriptions(c, name, db=""):
    try:
        return list(c.call("DescribeIndex", pb.DescribeIndexRequest(collection_name=name), db).index_descriptions)
    except MilvusError as error:
        if "index not found" in error.reason.lower() or error.code in (25, 700):
            return []
        raise


@function
def load_collection(c, name, db="", replicas=1, wait=True):
    c.call("LoadCollection", pb.LoadCollectionRequest(collection_name=name, replica_number=replicas), db)
    if wait:
        poll(f"{name} is loaded", lambda: load_state(c, name, "", db) == "Loaded")


@function
def load_partitions(c, name, partitions, db="", replicas=1):
    request = pb.LoadPartitionsRequest(collection_name=name, partition_names=partitions, replica_number=replicas)
    c.call("LoadPartitions", request, db)
    poll(f"{name} is loaded", lambda: all(load_state(c, name, p, db) == "Loaded" for p in partitions))


@function
def release_collection(c, name, db=""):
    c.call("ReleaseCollection", pb.ReleaseCollectionRequest(collection_name=name), db)


@function
def release_partitions(c, name, partitions, db=""):
    c.call("ReleasePartitions", pb.ReleasePartitionsRequest(collection_name=name, partition_names=partitions), db)


@function
def load_state(c, name, partition="", db=""):
    """NotExist, NotLoad, Loading or Loaded, of the collection or of one partition."""
    request = pb.GetLoadStateRequest(collection_name=name, partition_names=[partition] if partition else [])
    answer = c.call("GetLoadState", request, db)
    return common_pb2.LoadState.Name(answer.state).removeprefix("LoadState")
