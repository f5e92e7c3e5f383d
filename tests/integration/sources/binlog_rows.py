"""Writes collections of every type that Milvus 2.3.5 knows, flushes them, and prints their ids and what was refused.

argv: PREFIX; env: SOURCE_URI. Values are formulas of the row number, repeated in binlog_test.ts.
"""
import json
import os
import struct
import sys

from pymilvus import Collection, CollectionSchema, DataType as D, FieldSchema as F, connections, utility

prefix = sys.argv[1]
connections.connect(uri=os.environ["SOURCE_URI"])
ELEMENTS = [
    ("a_bool", D.BOOL, lambda i: [i % 2 == 0] * (i % 4)),
    ("a_i8", D.INT8, lambda i: [i % 128, -(i % 128)][: i % 3]),
    ("a_i16", D.INT16, lambda i: [i, -i][: i % 3]),
    ("a_i32", D.INT32, lambda i: [i * 3, -i][: i % 3]),
    ("a_i64", D.INT64, lambda i: [2**62 + i, -(2**62) - i][: i % 3]),
    ("a_f", D.FLOAT, lambda i: [i / 4.0] * (i % 2)),
    ("a_d", D.DOUBLE, lambda i: [i / 3.0] * (i % 2)),
    ("a_s", D.VARCHAR, lambda i: ["ä%d" % i, ""][: i % 3]),
]
VECTORS = [
    ("f32", D.FLOAT_VECTOR, 16, lambda i: [((i * 31 + k) % 97) / 97 for k in range(16)]),
    ("bin", D.BINARY_VECTOR, 32, lambda i: bytes([(i + k) % 256 for k in range(4)])),
    ("f16", getattr(D, "FLOAT16_VECTOR", None), 8, lambda i: struct.pack("<8e", *[(i + k) / 64 for k in range(8)])),
    ("bf16", getattr(D, "BFLOAT16_VECTOR", None), 8, lambda i: struct.pack("<8H", *[(i + k) % 65536 for k in range(8)])),
]
COUNT = 3000
made = {}
for name, kind, dim, vector in VECTORS:
    full = f"{prefix}_{name}"
    if kind is None:
        made[name] = {"refused": "this client has no such type"}
        continue
    if utility.has_collection(full):
        utility.drop_collection(full)
    varchar = name == "bin"
    fields = [
        F("id", D.VARCHAR, is_primary=True, max_length=64) if varchar else F("id", D.INT64, is_primary=True),
        F("b", D.BOOL), F("i8", D.INT8), F("i16", D.INT16), F("i32", D.INT32), F("i64", D.INT64),
        F("f", D.FLOAT), F("d", D.DOUBLE), F("s", D.VARCHAR, max_length=400), F("j", D.JSON), F("v", kind, dim=dim),
    ]
    for array, element, _ in ELEMENTS:
        extra = {"max_length": 20} if element == D.VARCHAR else {}
        fields.append(F(array, D.ARRAY, element_type=element, max_capacity=8, **extra))
    try:
        c = Collection(full, CollectionSchema(fields, enable_dynamic_field=True), shards_num=2)
        for start in range(0, COUNT, 1000):
            rows = [{
                "id": 'k"%d\\é' % i if varchar else 2**60 + i, "b": i % 3 == 0, "i8": i % 256 - 128, "i16": i - 1500,
                "i32": i * 1000003 % 2**31, "i64": -(2**62) + i, "f": i / 7, "d": i / 3, "s": "s\u20ac\U0001f600" * (i % 5),
                "j": {"k": 2**60 + i, "n": None}, "v": vector(i), "dyn": i, "big": 2**53 + i,
                **{array: value(i) for array, _, value in ELEMENTS},
            } for i in range(start, start + 1000)]
            c.insert(rows)
            if start == 1000:
                c.flush()
                keys = ['k"%d\\é' % i for i in range(0, 50)] if varchar else [2**60 + i for i in range(0, 50)]
                c.delete("id in " + json.dumps(keys, ensure_ascii=False))
        c.flush()
        made[name] = {"id": str(c._get_collection_id() if hasattr(c, "_get_collection_id") else c.describe()["collection_id"])}
    except Exception as error:  # what a release refuses is part of the answer
        made[name] = {"refused": str(error)[:300]}
        if utility.has_collection(full):
            utility.drop_collection(full)
print(json.dumps(made))
