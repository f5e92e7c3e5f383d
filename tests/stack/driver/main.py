"""Serves calls from standard input: one JSON object a line, {id, call, args}; answers {id, ok} or {id, error}.

main.py URI [TOKEN]      with the Python that has pymilvus

Calls run beside each other in threads; whoever needs an order waits for the answer first.
"""
import json
import os
import sys
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import grpc  # noqa: E402
from connection import Connection, MilvusError  # noqa: E402
from functions import FUNCTIONS  # noqa: E402


def answer(connection, request):
    try:
        name = request["call"]
        if name not in FUNCTIONS:
            raise LookupError(f"There is no function {name}; there are {', '.join(sorted(FUNCTIONS))}")
        return {"id": request["id"], "ok": FUNCTIONS[name](connection, **request.get("args", {}))}
    except MilvusError as error:
        return failure(request, "milvus", str(error), error.code)
    except grpc.RpcError as error:
        return failure(request, "grpc", f"{error.code()}: {error.details()}", 0)
    except Exception as error:  # the caller gets every failure, this loop goes on
        return failure(request, "python", "".join(traceback.format_exception(error)), 0)


def failure(request, kind, message, code):
    return {"id": request["id"], "error": {"kind": kind, "message": message, "code": code}}


def main(uri, token=""):
    connection = Connection(uri, token)
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints goes to standard error
    lock = threading.Lock()

    def serve(request):
        text = json.dumps(answer(connection, request), ensure_ascii=False)
        with lock:
            out.write(text + "\n")
            out.flush()

    with ThreadPoolExecutor(16) as pool:
        for line in sys.stdin:
            if line.strip():
                pool.submit(serve, json.loads(line))


main(*sys.argv[1:])
