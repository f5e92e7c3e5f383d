import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { TidemarkError } from "../../../../pipeline/errors.ts";
import { foreseeOverLong } from "../../../../pipeline/flow/run/over_long.ts";
import type { Collection, Segment } from "../../../../pipeline/model/mod.ts";
import { CollectionSchemaSchema, DataType } from "../../../../pipeline/proto/gen/schema_pb.ts";

const { signal } = new AbortController();
const text = (fieldID: bigint, name: string, max: string) => ({
  fieldID,
  name,
  dataType: DataType.VarChar,
  typeParams: [{ key: "max_length", value: max }],
});
const schema = create(CollectionSchemaSchema, {
  fields: [text(100n, "id", "4"), text(101n, "title", "8"), { fieldID: 102n, name: "n", dataType: DataType.Int64 }],
});
const collection = { schema } as Collection;
const segments = [{ id: 1n }, { id: 2n }] as Segment[];

Deno.test("foreseeOverLong finds texts that statistics show to be longer than the schema says, in bytes", async () => {
  const asked: string[] = [];
  async function* extremes({ id }: Segment, field: bigint) {
    asked.push(`${id}/${field}`);
    if (field === 100n) yield { path: "", texts: ["üüü", "a"] };
    else yield { path: "", texts: id === 1n ? ["x".repeat(8)] : ["x".repeat(40), "y".repeat(41)] };
  }
  assert.deepEqual(await foreseeOverLong({ extremes }, collection, segments, signal), [
    { field: "id", longest: 6, limit: 4, files: 2 },
    { field: "title", longest: 41, limit: 8, files: 1 },
  ]);
  assert.deepEqual(asked.sort(), ["1/100", "1/101", "2/100", "2/101"]);
});

Deno.test("foreseeOverLong leaves a file that cannot be read to the run, and stops where the store is away", async () => {
  const failing = (code: "damaged" | "unreachable") => ({
    async *extremes() {
      await Promise.resolve();
      yield* [];
      throw new TidemarkError(code, "no");
    },
  });
  assert.deepEqual(await foreseeOverLong(failing("damaged"), collection, segments, signal), []);
  await assert.rejects(foreseeOverLong(failing("unreachable"), collection, segments, signal), { code: "unreachable" });
  assert.deepEqual(await foreseeOverLong({}, collection, segments, signal), []);
});
