"""The object store below a Milvus, by a client of its own."""
from registry import function


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
