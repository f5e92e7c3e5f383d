"""Bulk import."""
import hashlib
import json
import os

from connection import MilvusError, unpairs
from objects import s3
from pymilvus.grpc_gen import common_pb2, milvus_pb2 as pb
from registry import function, poll


@function
def bulk_insert(c, name, files, partition="", db="", wait=True):
    """Imports files that the server's storage holds: `files` are paths in its bucket, or on its disk."""
    request = pb.ImportRequest(collection_name=name, partition_name=partition, files=files, row_based=True)
    tasks = list(c.call("Import", request, db).tasks)
    if wait:
        for task in tasks:
            bulk_wait(c, task)
    return tasks


@function
def bulk_state(c, task):
    answer = c.call("GetImportState", pb.GetImportStateRequest(task=task))
    return {"state": common_pb2.ImportState.Name(answer.state), "rows": answer.row_count, "ids": list(answer.id_list),
            "infos": unpairs(answer.infos)}


@function
def bulk_wait(c, task):
    def completed():
        state = bulk_state(c, task)
        if state["state"].startswith("ImportFailed"):
            raise MilvusError("Import", 0, json.dumps(state["infos"]))
        return state if state["state"] == "ImportCompleted" else None

    return poll(f"Import task {task} completes", completed, 0.3)


@function
def bulk_insert_rows(c, name, rows, store, partition="", db="", wait=True):
    """Writes rows as a file for bulk import to `store` ({endpoint, bucket, access_key, secret_key} or {dir}) and imports it."""
    text = json.dumps({"rows": rows}, ensure_ascii=False).encode()
    path = f"import/{name}-{hashlib.sha256(text).hexdigest()[:12]}.json"
    if "dir" in store:
        path = f"{store['dir']}/{path}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as out:
            out.write(text)
    else:
        s3(store).put_object(Bucket=store["bucket"], Key=path, Body=text)
    return bulk_insert(c, name, [path], partition, db, wait)
