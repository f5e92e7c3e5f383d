"""Rows to protobuf columns and back, without loss.

Forms in JSON: integers as they are; floats as numbers, "NaN", "Infinity" and "-Infinity" as strings; a float vector as a
list of numbers or as the hex of its little-endian float32 bytes; other vectors as hex; JSON and the dynamic field `$meta`
as parsed values (or as text, see `json_form`).
"""
import json
import math

import numpy as np
from pymilvus.grpc_gen import schema_pb2

TYPE = dict(schema_pb2.DataType.items())
INT_TYPES = {TYPE["Int8"], TYPE["Int16"], TYPE["Int32"]}
META = "$meta"


def type_number(name):
    """The number of a type by its name, in any case and with or without underscores: `Int64`, `FLOAT_VECTOR`."""
    wanted = name.replace("_", "").lower()
    for known, number in TYPE.items():
        if known.lower() == wanted:
            return number
    raise ValueError(f"There is no type {name}; there are {', '.join(TYPE)}")


def type_name(number):
    return schema_pb2.DataType.Name(number)


def params(field):
    return {pair.key: pair.value for pair in field.type_params}


def dimension(field):
    return int(params(field)["dim"])


def vector_bytes(field):
    """Bytes that one vector of this field takes."""
    dim = dimension(field)
    return {"FloatVector": dim * 4, "BinaryVector": dim // 8}.get(type_name(field.data_type), dim * 2)


def is_vector(number):
    return number >= 100


def rows_to_columns(schema, rows, with_auto_id=False):
    """The columns of a list of dicts. Keys that are no field go to the dynamic field, when the collection has one."""
    columns = []
    names = set()
    for field in schema.fields:
        names.add(field.name)
        if field.is_dynamic or (field.autoID and not with_auto_id):
            continue
        columns.append(column(field, [row[field.name] for row in rows]))
    if schema.enable_dynamic_field:
        columns.append(dynamic_column([dynamic_part(row, names) for row in rows]))
    return columns


def dynamic_part(row, names):
    if META in row:
        return row[META]
    return {key: value for key, value in row.items() if key not in names and not key.startswith("$")}


def dynamic_column(values):
    data = schema_pb2.FieldData(type=TYPE["JSON"], field_name=META, is_dynamic=True)
    data.scalars.json_data.data.extend(json_bytes(value) for value in values)
    return data


def column(field, values):
    """One FieldData. `values`: a list, or a numpy array for numbers and vectors."""
    number = field.data_type
    data = schema_pb2.FieldData(type=number, field_name=field.name)
    if is_vector(number):
        fill_vectors(data, field, values)
    elif number == TYPE["JSON"]:
        data.scalars.json_data.data.extend(json_bytes(value) for value in values)
    elif number == TYPE["Array"]:
        data.scalars.array_data.element_type = field.element_type
        for value in values:
            fill_scalar(data.scalars.array_data.data.add(), field.element_type, value)
    else:
        fill_scalar(data.scalars, number, values)
    return data


def fill_scalar(target, number, values):
    if isinstance(values, np.ndarray):
        values = values.tolist()
    if number == TYPE["Bool"]:
        target.bool_data.data.extend(values)
    elif number in INT_TYPES:
        target.int_data.data.extend(values)
    elif number == TYPE["Int64"]:
        target.long_data.data.extend(values)
    elif number == TYPE["Float"]:
        target.float_data.data.extend(map(to_float, values))
    elif number == TYPE["Double"]:
        target.double_data.data.extend(map(to_float, values))
    elif number in (TYPE["VarChar"], TYPE["String"]):
        target.string_data.data.extend(values)
    else:
        raise ValueError(f"No way to write a scalar of type {type_name(number)}")


def fill_vectors(data, field, values):
    dim = dimension(field)
    data.vectors.dim = dim
    if type_name(field.data_type) == "FloatVector":
        if isinstance(values, np.ndarray):
            data.vectors.float_vector.data.extend(values.ravel().tolist())
            return
        for value in values:
            if isinstance(value, str):
                value = np.frombuffer(bytes.fromhex(value), dtype="<f4").tolist()
            if len(value) != dim:
                raise ValueError(f"{field.name} takes {dim} numbers, got {len(value)}")
            data.vectors.float_vector.data.extend(value)
        return
    attribute = {"BinaryVector": "binary_vector", "Float16Vector": "float16_vector", "BFloat16Vector": "bfloat16_vector"}
    packed = b"".join(value if isinstance(value, bytes) else bytes.fromhex(value) for value in values)
    setattr(data.vectors, attribute[type_name(field.data_type)], packed)


def json_bytes(value):
    if isinstance(value, bytes):
        return value
    if isinstance(value, dict) and set(value) == {"$text"}:  # the caller wants exactly this text
        return value["$text"].encode()
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def to_float(value):
    return float(value)


def decode_columns(fields_data, vectors="list", json_form="parsed"):
    """{field name: list of values} of the columns of an answer."""
    return {
        (META if data.is_dynamic else data.field_name): decode_column(data, vectors, json_form) for data in fields_data
    }


def decode_column(data, vectors, json_form):
    number = data.type
    if is_vector(number):
        return decode_vectors(data, vectors)
    if number == TYPE["JSON"]:
        texts = [item.decode() for item in data.scalars.json_data.data]
        return texts if json_form == "text" else [json.loads(text) for text in texts]
    if number == TYPE["Array"]:
        element = data.scalars.array_data.element_type
        return [decode_scalars(item, element or None) for item in data.scalars.array_data.data]
    return decode_scalars(data.scalars, number)


def decode_scalars(scalars, number):
    kind = scalars.WhichOneof("data")
    if kind is None:
        return []
    values = list(getattr(scalars, kind).data)
    return [from_float(value) for value in values] if kind in ("float_data", "double_data") else values


def from_float(value):
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def decode_vectors(data, form):
    dim = data.vectors.dim
    kind = data.vectors.WhichOneof("data")
    if kind == "float_vector":
        matrix = np.array(data.vectors.float_vector.data, dtype="<f4").reshape(-1, dim)
        if form == "hex":
            return [row.tobytes().hex() for row in matrix]
        return [[from_float(value) for value in row] for row in matrix.tolist()]
    packed = getattr(data.vectors, kind)
    size = dim // 8 if kind == "binary_vector" else dim * 2
    return [packed[at : at + size].hex() for at in range(0, len(packed), size)]
