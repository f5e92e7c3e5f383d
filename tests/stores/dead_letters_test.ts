import assert from "node:assert/strict";
import { encodeColumn } from "../../pipeline/columns/mod.ts";
import type { DeadLetter } from "../../pipeline/model/mod.ts";
import { DataType } from "../../pipeline/proto/gen/schema_pb.ts";
import { createDeadLetters } from "../../stores/dead_letters.ts";
import { createMemoryStore, readParquet } from "../../stores/mod.ts";

function letter(key: bigint | string, title = "x"): DeadLetter {
  const base = { elementType: DataType.None, dim: 0, isDynamic: false, valid: undefined };
  const data = { kind: "utf8" as const, values: [new TextEncoder().encode(title)] };
  return {
    sink: "replica",
    collectionId: 470597784452279572n,
    collection: "default.c",
    target: "default.d",
    partitionId: -1n,
    partition: "_default",
    key,
    ts: 470598793474605057n,
    position: "by-dev-rootcoord-dml_0@17",
    reason: "field title has 40 bytes, the target's max_length is 8",
    fieldsData: [encodeColumn({ ...base, fieldId: 101n, name: "title", type: DataType.VarChar, data })],
  };
}

const decoded = (letters: readonly DeadLetter[]) =>
  letters.map((one) => ({ ...one, fieldsData: one.fieldsData.map((bytes) => [...bytes]) }));

Deno.test("createDeadLetters reads what it appended, keys of both kinds, and another writer goes on in the same file", async () => {
  const store = createMemoryStore();
  const first = createDeadLetters({ store, program: "test" });
  const all = [letter(-5n), letter("ä key"), letter(9223372036854775807n)];
  assert.deepEqual(await Promise.all([first.append([all[0]!]), first.append([all[1]!])]), [
    "00001.parquet",
    "00001.parquet",
  ]);
  const second = createDeadLetters({ store, program: "test" });
  assert.equal(await second.append([all[2]!]), "00001.parquet");
  assert.deepEqual(await second.files(), ["00001.parquet"]);
  assert.deepEqual(decoded(await second.read("00001.parquet")), decoded(all));
});

Deno.test("createDeadLetters begins another file behind one that is large enough", async () => {
  const store = createMemoryStore();
  const letters = createDeadLetters({ store, program: "test", fileBytes: 2000 });
  const files = new Set<string>();
  for (let i = 0n; i < 40n; i++) files.add(await letters.append([letter(i)]));
  assert.ok(files.size > 1 && files.size < 40, `${files.size} files`);
  assert.deepEqual([...files], await letters.files());
  const all = (await Promise.all([...files].map((file) => letters.read(file)))).flat();
  assert.deepEqual(all.map(({ key }) => key), Array.from({ length: 40 }, (_, i) => BigInt(i)));
});

Deno.test("createDeadLetters writes for other tools: the row as JSON, when, where and why, as columns of their own", async () => {
  const store = createMemoryStore();
  await createDeadLetters({ store, program: "test" }).append([letter(7n, "forty")]);
  const { file, columns } = await readParquet(await store.get("00001.parquet"), "it");
  const texts = Object.fromEntries(file.columns.flatMap(({ name }, i) => {
    const { values } = columns[i]!;
    return values.kind === "bytes" ? [[name, new TextDecoder().decode(values.values[0])]] : [];
  }));
  assert.equal(texts.row_json, '{"title":"forty"}');
  assert.equal(texts.key, "7");
  assert.equal(texts.position, "by-dev-rootcoord-dml_0@17");
  assert.match(texts.reason!, /max_length is 8/);
  assert.match(texts.time!, /^\d{4}-\d\d-\d\dT/);
});

Deno.test("createDeadLetters says which file is none of its own", async () => {
  const store = createMemoryStore();
  await store.put("00001.parquet", new TextEncoder().encode("no Parquet"));
  await assert.rejects(createDeadLetters({ store, program: "test" }).read("00001.parquet"), { code: "damaged" });
});
