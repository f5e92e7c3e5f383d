"""Calls about the server as a whole."""
from pymilvus.grpc_gen import milvus_pb2 as pb
from registry import function


@function
def wait_ready(c):
    c.wait_ready()


@function
def version(c):
    return c.call("GetVersion", pb.GetVersionRequest()).version


@function
def alloc_timestamp(c):
    """A hybrid timestamp of the server's clock."""
    return c.call("AllocTimestamp", pb.AllocTimestampRequest()).timestamp
