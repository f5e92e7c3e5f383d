"""A connection to a Milvus by the raw stubs of pymilvus' generated protobuf code.

The client classes of pymilvus convert values on the way (JSON through a lossy parser, cached schemas). Tests compare rows
bit by bit, so requests are built and answers are read here, with nothing in between.
"""
import base64
import importlib.util
import json
import sys
import time
import types

import grpc
from patience import call_limit, hung_after, patience

# Importing pymilvus itself takes two seconds, for pandas and the like; only the generated code below it is needed.
if "pymilvus" not in sys.modules:
    package = types.ModuleType("pymilvus")
    package.__path__ = importlib.util.find_spec("pymilvus").submodule_search_locations
    sys.modules["pymilvus"] = package

from pymilvus.grpc_gen import common_pb2, milvus_pb2, milvus_pb2_grpc  # noqa: E402

BIG = 512 * 1024 * 1024


class MilvusError(Exception):
    """What the server refused, with its code and words."""

    def __init__(self, method, code, reason):
        super().__init__(f"{method}: {reason} (code {code})")
        self.code = code
        self.reason = reason


class Connection:
    def __init__(self, uri, token=""):
        """`token`: user:password. Some calls want one even where the server checks none, so the default user's is sent."""
        address = uri.split("://", 1)[-1].rstrip("/")
        options = [
            ("grpc.max_send_message_length", BIG),
            ("grpc.max_receive_message_length", BIG),
            ("grpc.enable_retries", 1),
            ("grpc.keepalive_time_ms", 55_000),
        ]
        if uri.startswith("https://"):
            # Trusts the authority in the file that GRPC_DEFAULT_SSL_ROOTS_FILE_PATH names.
            self.channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(), options)
        else:
            self.channel = grpc.insecure_channel(address, options)
        self.stub = milvus_pb2_grpc.MilvusServiceStub(self.channel)
        self.token = token or "root:Milvus"

    def call(self, method, request, db="", timeout=None, check=True):
        """Calls one method. Raises MilvusError for a status that is not a success, grpc.RpcError for the transport."""
        fields = request.DESCRIPTOR.fields_by_name
        if db and "db_name" in fields and not request.db_name:
            request.db_name = db
        metadata = [("dbname", db)] if db else []
        metadata.append(("authorization", base64.b64encode(self.token.encode()).decode()))
        response = getattr(self.stub, method)(request, timeout=timeout or call_limit(), metadata=metadata)
        if check:
            status = response if isinstance(response, common_pb2.Status) else getattr(response, "status", None)
            if status is not None and (status.error_code != 0 or getattr(status, "code", 0) != 0):
                raise MilvusError(method, getattr(status, "code", 0) or status.error_code, status.reason)
        return response

    def wait_ready(self):
        """Waits until the server answers requests."""
        end = time.monotonic() + hung_after()
        while True:
            try:
                self.call("ShowCollections", milvus_pb2.ShowCollectionsRequest(), timeout=5 * patience())
                return
            except (grpc.RpcError, MilvusError):
                if time.monotonic() > end:
                    raise
                time.sleep(0.2)


def pairs(mapping):
    """Key-value pairs of the protobuf kind; values that are no strings are written as JSON, as Milvus' clients do."""
    return [
        common_pb2.KeyValuePair(key=key, value=value if isinstance(value, str) else json.dumps(value))
        for key, value in (mapping or {}).items()
    ]


def unpairs(items):
    return {item.key: item.value for item in items}
