"""What tests can call, by name. Every function takes the connection and keyword arguments, and returns plain JSON."""
import base64
import hashlib
import json
import time

from connection import MilvusError, pairs, unpairs  # first: it makes pymilvus' parts importable

import generate
import grpc
from pymilvus.grpc_gen import common_pb2, milvus_pb2 as pb, schema_pb2
from rows import META, TYPE, decode_columns, rows_to_columns, type_name, type_number

CONSISTENCY = {"Strong": 0, "Session": 1, "Bounded": 2, "Eventually": 3, "Customized": 4}

FUNCTIONS = {}


def function(define):
    FUNCTIONS[define.__name__] = define
    return define


def poll(what, timeout, test, pause=0.1):
    end = time.monotonic() + timeout
    while True:
        value = test()
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError(f"{what} took longer than {timeout} s")
        time.sleep(pause)


# ---- server --------------------------------------------------------------------------------------------------


@function
def wait_ready(c, timeout=120):
    c.wait_ready(timeout)


@function
def wait_queryable(c, name, db="", timeout=120):
    """Waits until a loaded collection answers: after a server was killed that takes until its old session has expired,
    30 s and more, while the server itself says it is healthy long before."""
    poll(f"Querying {name}", timeout, lambda: answers(c, name, db), 0.3)


def answers(c, name, db):
    try:
        count(c, name, "", db)
        return True
    except (grpc.RpcError, MilvusError):
        return False


@function
def version(c):
    return c.call("GetVersion", pb.GetVersionRequest()).version


@function
def alloc_timestamp(c):
    """A hybrid timestamp of the server's clock."""
    return c.call("AllocTimestamp", pb.AllocTimestampRequest()).timestamp


# ---- databases -----------------------------------------------------------------------------------------------


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


# ---- collections ---------------------------------------------------------------------------------------------


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


# ---- partitions, aliases, indexes, load ------------------------------------------------------------------------


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
def create_index(c, name, field, params, index_name="", db="", wait=True, timeout=120):
    """`params`: {index_type, metric_type, params: {...}}, sent as they are."""
    request = pb.CreateIndexRequest(
        collection_name=name, field_name=field, index_name=index_name, extra_params=pairs(params)
    )
    c.call("CreateIndex", request, db)
    if wait:
        wait_index(c, name, db, timeout)


@function
def wait_index(c, name, db="", timeout=120):
    poll(f"The index of {name}", timeout, lambda: all(index.state == 3 for index in index_descriptions(c, name, db)))


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
def load_collection(c, name, db="", replicas=1, timeout=120):
    c.call("LoadCollection", pb.LoadCollectionRequest(collection_name=name, replica_number=replicas), db)
    poll(f"Loading {name}", timeout, lambda: load_state(c, name, "", db) == "Loaded")


@function
def load_partitions(c, name, partitions, db="", replicas=1, timeout=120):
    request = pb.LoadPartitionsRequest(collection_name=name, partition_names=partitions, replica_number=replicas)
    c.call("LoadPartitions", request, db)
    poll(f"Loading {name}", timeout, lambda: all(load_state(c, name, p, db) == "Loaded" for p in partitions))


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


# ---- writing -------------------------------------------------------------------------------------------------


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
def flush(c, name, db="", timeout=120):
    """Seals and writes every segment, and waits until that is done. Returns the ids of the flushed segments."""
    answer = c.call("Flush", pb.FlushRequest(collection_names=[name]), db, timeout=timeout)
    segments = list(answer.coll_segIDs[name].data)
    request = pb.GetFlushStateRequest(segmentIDs=segments, collection_name=name)
    if name in answer.coll_flush_ts:
        request.flush_ts = answer.coll_flush_ts[name]
    poll(f"Flushing {name}", timeout, lambda: c.call("GetFlushState", request, db).flushed)
    return segments


@function
def compact(c, name, db="", wait=True, timeout=120):
    """Starts a compaction by hand, and waits for its end."""
    request = pb.ManualCompactionRequest(collectionID=describe(c, name, db).collectionID)
    compaction = c.call("ManualCompaction", request, db).compactionID
    state = pb.GetCompactionStateRequest(compactionID=compaction)
    if wait:
        poll(f"Compacting {name}", timeout, lambda: c.call("GetCompactionState", state, db).state == 2)
    return compaction


# ---- reading -------------------------------------------------------------------------------------------------


@function
def count(c, name, partition="", db=""):
    answer = query(c, name, "", ["count(*)"], [partition] if partition else [], db)
    return answer.fields_data[0].scalars.long_data.data[0]


@function
def query_rows(c, name, expr, fields=("*",), partitions=(), db="", vectors="list", json_form="parsed"):
    answer = query(c, name, expr, list(fields), list(partitions), db)
    return as_rows(decode_columns(answer.fields_data, vectors, json_form))


def query(c, name, expr, fields, partitions, db):
    request = pb.QueryRequest(
        collection_name=name, expr=expr, output_fields=fields, partition_names=partitions, consistency_level=0,
        use_default_consistency=False, guarantee_timestamp=0,
    )
    return c.call("Query", request, db, timeout=120)


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
    everything = f"{key.name} >= 0 or {key.name} < 0" if key.data_type == TYPE["Int64"] else f'{key.name} >= ""'
    for partition in partitions:
        if partition and load_state(c, name, partition, db) != "Loaded":
            raise MilvusError("Query", 101, f"partition {partition} of {name} is not loaded, so its rows cannot be read")
        chosen = [partition] if partition else []
        keys = sorted(decode_columns(query(c, name, everything, [key.name], chosen, db).fields_data).get(key.name, []))
        for at in range(0, len(keys), page):
            expr = in_list(key, keys[at : at + page])
            answer = query(c, name, expr, fields, chosen, db)
            rows = as_rows(decode_columns(answer.fields_data, vectors, json_form))
            rows.sort(key=lambda row: row[key.name])
            yield [{**({"$partition": partition} if partition else {}), **row} for row in rows]


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


# ---- bulk import ---------------------------------------------------------------------------------------------


@function
def bulk_insert(c, name, files, partition="", db="", wait=True, timeout=180):
    """Imports files that the server's storage holds: `files` are paths in its bucket, or on its disk."""
    request = pb.ImportRequest(collection_name=name, partition_name=partition, files=files, row_based=True)
    tasks = list(c.call("Import", request, db).tasks)
    if wait:
        for task in tasks:
            bulk_wait(c, task, timeout)
    return tasks


@function
def bulk_state(c, task):
    answer = c.call("GetImportState", pb.GetImportStateRequest(task=task))
    return {"state": common_pb2.ImportState.Name(answer.state), "rows": answer.row_count, "ids": list(answer.id_list),
            "infos": unpairs(answer.infos)}


@function
def bulk_wait(c, task, timeout=180):
    def completed():
        state = bulk_state(c, task)
        if state["state"].startswith("ImportFailed"):
            raise MilvusError("Import", 0, json.dumps(state["infos"]))
        return state if state["state"] == "ImportCompleted" else None

    return poll(f"Import task {task}", timeout, completed, 0.3)


@function
def bulk_insert_rows(c, name, rows, store, partition="", db="", wait=True, timeout=180):
    """Writes rows as a file for bulk import to `store` ({endpoint, bucket, access_key, secret_key} or {dir}) and imports it."""
    text = json.dumps({"rows": rows}, ensure_ascii=False).encode()
    path = f"import/{name}-{hashlib.sha256(text).hexdigest()[:12]}.json"
    if "dir" in store:
        import os

        path = f"{store['dir']}/{path}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as out:
            out.write(text)
    else:
        s3(store).put_object(Bucket=store["bucket"], Key=path, Body=text)
    return bulk_insert(c, name, [path], partition, db, wait, timeout)


# ---- object store --------------------------------------------------------------------------------------------


def s3(store):
    import boto3
    from botocore.config import Config

    return boto3.client(
        "s3", endpoint_url=store["endpoint"], aws_access_key_id=store["access_key"],
        aws_secret_access_key=store["secret_key"], region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required"),
    )


@function
def create_bucket(_c, store):
    client = s3(store)
    if store["bucket"] not in [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]:
        client.create_bucket(Bucket=store["bucket"])


@function
def list_objects(_c, store, prefix=""):
    pages_of = s3(store).get_paginator("list_objects_v2").paginate(Bucket=store["bucket"], Prefix=prefix)
    return {item["Key"]: item["Size"] for page in pages_of for item in page.get("Contents", [])}


@function
def put_object(_c, store, key, hex):
    s3(store).put_object(Bucket=store["bucket"], Key=key, Body=bytes.fromhex(hex))


@function
def get_object(_c, store, key):
    return s3(store).get_object(Bucket=store["bucket"], Key=key)["Body"].read().hex()


@function
def delete_objects(_c, store, prefix):
    client = s3(store)
    for key in list_objects(_c, store, prefix):
        client.delete_object(Bucket=store["bucket"], Key=key)


# ---- users, roles, grants ------------------------------------------------------------------------------------


@function
def create_user(c, user, password):
    encoded = base64.b64encode(password.encode()).decode()
    c.call("CreateCredential", pb.CreateCredentialRequest(username=user, password=encoded))


@function
def update_password(c, user, old, new):
    encode = lambda text: base64.b64encode(text.encode()).decode()
    c.call("UpdateCredential", pb.UpdateCredentialRequest(username=user, oldPassword=encode(old), newPassword=encode(new)))


@function
def drop_user(c, user):
    c.call("DeleteCredential", pb.DeleteCredentialRequest(username=user))


@function
def create_role(c, role):
    c.call("CreateRole", pb.CreateRoleRequest(entity=pb.RoleEntity(name=role)))


@function
def drop_role(c, role):
    c.call("DropRole", pb.DropRoleRequest(role_name=role))


@function
def add_user_to_role(c, user, role):
    c.call("OperateUserRole", pb.OperateUserRoleRequest(username=user, role_name=role, type=0))


@function
def remove_user_from_role(c, user, role):
    c.call("OperateUserRole", pb.OperateUserRoleRequest(username=user, role_name=role, type=1))


@function
def grant(c, role, object, object_name, privilege, db=""):
    c.call("OperatePrivilege", privilege_request(role, object, object_name, privilege, db, 0), db)


@function
def revoke(c, role, object, object_name, privilege, db=""):
    c.call("OperatePrivilege", privilege_request(role, object, object_name, privilege, db, 1), db)


def privilege_request(role, object, object_name, privilege, db, operation):
    entity = pb.GrantEntity(
        role=pb.RoleEntity(name=role), object=pb.ObjectEntity(name=object), object_name=object_name, db_name=db,
        grantor=pb.GrantorEntity(privilege=pb.PrivilegeEntity(name=privilege)),
    )
    return pb.OperatePrivilegeRequest(entity=entity, type=operation)


@function
def describe_rbac(c):
    """{users: {name: [roles]}, roles: {name: [[object, object name, privilege, database]]}}"""
    users = c.call("SelectUser", pb.SelectUserRequest(include_role_info=True)).results
    roles = c.call("SelectRole", pb.SelectRoleRequest(include_user_info=False)).results
    return {
        "users": {u.user.name: sorted(r.name for r in u.roles) for u in users},
        "roles": {r.role.name: grants_of(c, r.role.name) for r in roles},
    }


def grants_of(c, role):
    """Grants are listed per database; a grant on every database has the name `*`."""
    found = set()
    for db in [*list_databases(c), "*"]:
        entity = pb.GrantEntity(role=pb.RoleEntity(name=role), db_name=db)
        try:
            answer = c.call("SelectGrant", pb.SelectGrantRequest(entity=entity))
        except MilvusError:
            continue
        found.update((e.object.name, e.object_name, e.grantor.privilege.name, e.db_name) for e in answer.entities)
    return sorted(map(list, found))
