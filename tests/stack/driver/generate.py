"""Rows made from (seed, first number): the same arguments give the same rows, on every machine."""
import numpy as np

from rows import TYPE, column, dimension, dynamic_column, params, type_name

WORDS = ["tide", "mark", "Ebbe", "Flut", "déjà vu", "潮汐", 'a"b', "back\\slash", "🌊", "line\nbreak", "", " "]


def primary_keys(field, start, count):
    """The keys number `start` and on. Text keys hold quotes, backslashes and umlauts now and then."""
    if field.data_type == TYPE["Int64"]:
        return list(range(start, start + count))
    return [f'k"{n}\\é' if n % 7 == 0 else f"k{n}" for n in range(start, start + count)]


def columns(schema, start, count, seed, plain=False):
    """FieldData of `count` rows. `plain` keeps text and JSON short and simple, for measurements."""
    random = np.random.default_rng([seed & 0x7FFFFFFF, start & 0x7FFFFFFF, count])
    made = []
    for field in schema.fields:
        if field.is_dynamic or (field.is_primary_key and field.autoID):
            continue
        if field.is_primary_key:
            made.append(column(field, primary_keys(field, start, count)))
        else:
            made.append(column(field, values(field, start, count, seed, random, plain)))
    if schema.enable_dynamic_field:
        made.append(dynamic_column([dynamic(n, seed, plain) for n in range(start, start + count)]))
    return made


def values(field, start, count, seed, random, plain):
    name = type_name(field.data_type)
    if name == "FloatVector":
        return random.random((count, dimension(field)), dtype=np.float32)
    if name == "BinaryVector":
        size = dimension(field) // 8
        return [random.bytes(size) for _ in range(count)]
    if name == "Float16Vector":
        return [row.tobytes() for row in random.random((count, dimension(field))).astype("<f2")]
    if name == "BFloat16Vector":
        halves = random.random((count, dimension(field)), dtype=np.float32).view("<u4") >> 16
        return [row.astype("<u2").tobytes() for row in halves]
    if name == "JSON":
        return [document(n, seed, plain) for n in range(start, start + count)]
    if name == "Array":
        limit = min(int(params(field).get("max_capacity", 4)), 5)
        sizes = random.integers(0, limit + 1, count)
        text = int(params(field).get("max_length", 64))
        return [scalars(field.element_type, int(size), random, start, plain, text) for size in sizes]
    return scalars(field.data_type, count, random, start, plain, int(params(field).get("max_length", 64)))


def scalars(number, count, random, start, plain, max_length):
    name = type_name(number)
    if name == "Bool":
        return random.integers(0, 2, count).astype(bool)
    if name in ("Int8", "Int16", "Int32", "Int64"):
        bits = int(name[3:])
        return random.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), count, dtype=np.int64)
    if name == "Float":
        return random.standard_normal(count).astype(np.float32)
    if name == "Double":
        return random.standard_normal(count)
    if name == "VarChar":
        if plain:
            return [f"tag-{n}"[:max_length] for n in range(start, start + count)]
        picks = random.integers(0, len(WORDS), count)
        return [fit(f"{WORDS[pick]}{start + n}", max_length) for n, pick in enumerate(picks)]
    raise ValueError(f"No generator for the type {name}")


def fit(text, max_length):
    """Milvus 2.3 counts bytes, so a text is cut at a whole character within them."""
    return text.encode()[:max_length].decode(errors="ignore")


def document(n, seed, plain):
    if plain:
        return {"n": n, "color": "red"}
    shapes = [
        lambda: {"n": n, "seed": seed, "word": WORDS[n % len(WORDS)]},
        lambda: {"big": 2**62 + n, "neg": -(2**53) - n, "float": n / 7},
        lambda: {"nested": {"list": [n, None, True, "x"], "empty": {}}, "key with \"quote\"": []},
        lambda: {},
    ]
    return shapes[n % len(shapes)]()


def dynamic(n, seed, plain):
    if plain or n % 3 == 0:
        return {"color": "red"}
    if n % 3 == 1:
        return {"n": n, "word": WORDS[n % len(WORDS)], "big": 2**61 + n}
    return {}
