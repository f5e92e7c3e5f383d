"""Makes the Parquet files of this folder, with pyarrow as Milvus' own writers use it. Run: python make.py (pyarrow 26.0.1, numpy)

Row i holds formulas of i that the tests repeat; every fifth row is null in the nullable columns.
"""
import os
import struct

import pyarrow as pa
import pyarrow.parquet as pq

here = os.path.dirname(os.path.abspath(__file__))
N = 1000
rows = range(N)


def nulls(values):
    return [None if i % 5 == 0 else v for i, v in enumerate(values)]


def columns(null):
    f = nulls if null else list
    return {
        "b": pa.array(f(i % 3 == 0 for i in rows), pa.bool_()),
        "i8": pa.array(f(i % 256 - 128 for i in rows), pa.int8()),
        "i32": pa.array(f(i * 1000003 % 2**31 for i in rows), pa.int32()),
        "i64": pa.array(f(-(2**62) + i for i in rows), pa.int64()),
        "f": pa.array(f(i / 7 for i in rows), pa.float32()),
        "d": pa.array(f(i / 3 for i in rows), pa.float64()),
        "s": pa.array(f("ä%d" % (i % 17) for i in rows), pa.utf8()),
        "y": pa.array(f(b"\x00\xff" * (i % 40) for i in rows), pa.binary()),
        "x": pa.array(f(struct.pack("<4f", i, -i, i / 2, 0) for i in rows), pa.binary(16)),
    }


def write(name, table, **options):
    pq.write_table(table, os.path.join(here, name), **{"compression": "zstd", "compression_level": 3, **options})


for null in (False, True):
    suffix = "nullable" if null else "required"
    arrays = columns(null)
    table = pa.table(arrays, schema=pa.schema([pa.field(n, a.type, nullable=null) for n, a in arrays.items()]))
    write(f"dictionary-{suffix}.parquet", table, row_group_size=300, data_page_size=200, write_batch_size=50)
    write(f"plain-{suffix}.parquet", table, use_dictionary=False, data_page_size=800, write_batch_size=50)
    write(f"plain-v2-{suffix}.parquet", table, use_dictionary=False, data_page_version="2.0", data_page_size=2000, compression="snappy", compression_level=None)
    delta = {"i8": "DELTA_BINARY_PACKED", "i32": "DELTA_BINARY_PACKED", "i64": "DELTA_BINARY_PACKED", "s": "DELTA_BYTE_ARRAY",
             "y": "DELTA_LENGTH_BYTE_ARRAY", "f": "BYTE_STREAM_SPLIT", "d": "BYTE_STREAM_SPLIT", "b": "RLE", "x": "BYTE_STREAM_SPLIT"}
    write(f"delta-{suffix}.parquet", table, use_dictionary=False, column_encoding=delta, data_page_version="2.0", data_page_size=2000)
    write(f"uncompressed-{suffix}.parquet", table, use_dictionary=False, compression="none", compression_level=None)


def with_ids(fields):
    """fields: (name, type, field id, values, nullable)"""
    schema = pa.schema([pa.field(n, t, nullable=null, metadata={"PARQUET:field_id": str(i)}) for n, t, i, _, null in fields])
    return pa.table([pa.array(v, t) for _, t, _, v, _ in fields], schema=schema)


# Storage V2: two column groups whose files end at different rows (0-599, 600-999 and 0-249, 250-999).
def narrow(part):
    return with_ids([
        ("RowID", pa.int64(), 0, [10**15 + i for i in part], False),
        ("Timestamp", pa.int64(), 1, [470597853798465538 + i for i in part], False),
        ("id", pa.int64(), 100, [2**60 + i for i in part], False),
        ("s", pa.utf8(), 101, [None if i % 5 == 0 else "ä%d" % i for i in part], True),
        ("sparse", pa.binary(), 103, [struct.pack("<IfIf", i, 0.5, 2**31 + i, 1.5) for i in part], True),
    ])


def wide(part):
    return with_ids([("v", pa.binary(16), 102, [struct.pack("<4f", i, -i, i / 2, 0) for i in part], False)])


for index, part in enumerate((range(600), range(600, N))):
    write(f"v2-narrow-{index}.parquet", narrow(part), row_group_size=128)
for index, part in enumerate((range(250), range(250, N))):
    write(f"v2-wide-{index}.parquet", wide(part), use_dictionary=False)
# A nullable dense vector is a variable byte array, empty where null.
write("vector-nullable.parquet", pa.table(
    [pa.array([None if i % 5 == 0 else struct.pack("<4f", i, -i, i / 2, 0) for i in range(100)], pa.binary())],
    schema=pa.schema([pa.field("102", pa.binary(), metadata={"dim": "4"})])))

# Delta logs in two columns, int64 and varchar keys.
write("delete-int64.parquet", with_ids([
    ("", pa.int64(), 0, [-(2**63) + i for i in range(100)], False), ("", pa.int64(), 1, [470597853798465538 + i for i in range(100)], False),
]), compression="none", compression_level=None)
write("delete-varchar.parquet", pa.table({
    "pk": pa.array(["k\"%d\\é" % i for i in range(100)], pa.utf8()), "ts": pa.array([470597853798465538 + i for i in range(100)], pa.int64()),
}, schema=pa.schema([pa.field("pk", pa.utf8(), nullable=False), pa.field("ts", pa.int64(), nullable=False)])), compression="none", compression_level=None)

# Lists of fixed-size values, i % 4 of them in row i and every 50th row 300: rows reach over pages of 200 bytes. Every seventh row is
# null in the optional column.
def vectors(i):
    return [struct.pack("<2f", i, k) for k in range(300 if i % 50 == 49 else i % 4)]


lists = pa.list_(pa.field("element", pa.binary(8), nullable=True))
for version, name in (("1.0", "v1"), ("2.0", "v2")):
    write(f"lists-{name}.parquet", pa.table(
        [[vectors(i) for i in rows], [None if i % 7 == 0 else vectors(i) for i in rows]],
        schema=pa.schema([pa.field("req", lists, nullable=False, metadata={"PARQUET:field_id": "133"}),
                          pa.field("opt", lists, metadata={"PARQUET:field_id": "134"})])),
        data_page_version=version, row_group_size=300, data_page_size=200, write_batch_size=50, use_dictionary=["opt.list.element"])

# Nested otherwise: refused with a reason.
write("list.parquet", pa.table({"l": pa.array([[1], []], pa.list_(pa.int64()))}))
write("empty.parquet", pa.table({"val": pa.array([], pa.int64())}))
