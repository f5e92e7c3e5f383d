import assert from "node:assert/strict";
import fc from "fast-check";
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { packedInt64, packedSame, packedUint64, WireError, WireReader } from "../../../sources/log/wire.ts";

Deno.test("WireReader reads every varint that protobuf writes", () => {
  fc.assert(fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (value) => {
    const bytes = new BinaryWriter().int64(value).finish();
    assert.equal(new WireReader(bytes).int64(), value);
    assert.equal(new WireReader(bytes).uint64(), BigInt.asUintN(64, value));
    assert.equal(new WireReader(bytes).uint32(), Number(BigInt.asUintN(32, value)));
  }));
});

Deno.test("packedInt64 and packedUint64 read packed fields", () => {
  fc.assert(fc.property(fc.array(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })), (values) => {
    const writer = new BinaryWriter();
    for (const value of values) writer.int64(value);
    const bytes = writer.finish();
    assert.deepEqual([...packedInt64(bytes)], values);
    assert.deepEqual([...packedUint64(bytes)], values.map((value) => BigInt.asUintN(64, value)));
  }));
});

Deno.test("packedSame tells equal timestamps from different ones", () => {
  const packed = (...values: bigint[]) => {
    const writer = new BinaryWriter();
    for (const value of values) writer.uint64(value);
    return writer.finish();
  };
  const ts = 470598562119417859n;
  assert.deepEqual(packedSame(packed(ts, ts, ts)), { count: 3, value: ts, same: true });
  assert.deepEqual(packedSame(packed(ts, ts + 1n)), { count: 2, value: ts, same: false });
  assert.deepEqual(packedSame(packed(1n, ts)), { count: 2, value: 1n, same: false });
  assert.deepEqual(packedSame(packed()), { count: 0, value: 0n, same: true });
});

Deno.test("WireReader throws for bytes that are cut short, whatever is read", () => {
  const bytes = new BinaryWriter().tag(1, 2).string("text").tag(2, 0).int64(2n ** 62n).tag(3, 1).fixed64(1n).finish();
  for (let end = 1; end < bytes.length; end++) {
    const reader = new WireReader(bytes, 0, end);
    const boundaries = new Set([6, 16]);
    const all = () => {
      for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) reader.skip(tag);
    };
    if (boundaries.has(end)) all();
    else assert.throws(all, WireError);
  }
});
