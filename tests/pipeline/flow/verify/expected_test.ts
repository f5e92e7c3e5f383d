import assert from "node:assert/strict";
import { ExpectedRows } from "../../../../pipeline/flow/verify/expected.ts";
import { nameOf, partsOfName } from "../../../../pipeline/flow/verify/log.ts";
import { viewOf } from "../../../../pipeline/flow/verify/view.ts";
import { collection } from "../../../sinks/milvus/sample.ts";
import { hybridFromMs } from "../../../../pipeline/model/mod.ts";

const VIEW = viewOf(collection("items"), [], { fills: false });
const digestOf = () => 0n;

function row(key: bigint, ms: number, misplaced = false) {
  const name = nameOf(0n, key);
  return { name, partition: 5n, ts: hybridFromMs(ms), misplaced, digest: () => key * 10n, fieldsData: () => [] };
}

Deno.test("ExpectedRows has the newest insert of each key, and where the source itself does not find it", () => {
  const expected = new ExpectedRows(() => true, undefined, VIEW, digestOf);
  for (const key of [1n, 2n, 3n]) expected.insert(row(key, 100, true));
  expected.insert(row(2n, 200));
  expected.remove(nameOf(0n, 3n));
  expected.expire(1e12);
  assert.deepEqual([...expected.rows], [[nameOf(0n, 1n), 10n], [nameOf(0n, 2n), 20n]]);
  assert.deepEqual([...expected.misplaced], [nameOf(0n, 1n)]);
  assert.equal(expected.expired.size, 0);
});

Deno.test("ExpectedRows takes out what is past its time to live at the moment, by its newest insert", () => {
  const expected = new ExpectedRows(() => true, 1000, VIEW, digestOf);
  for (const key of [1n, 2n, 3n, 4n]) expected.insert(row(key, 500));
  expected.insert(row(2n, 1200));
  expected.remove(nameOf(0n, 3n));
  expected.expire(1500);
  assert.deepEqual([...expected.rows.keys()], [nameOf(0n, 2n)]);
  assert.deepEqual([...expected.expired], [nameOf(0n, 1n), nameOf(0n, 4n)]);
  assert.equal(expected.mayBeGone(nameOf(0n, 2n), 2199), false);
  assert.equal(expected.mayBeGone(nameOf(0n, 2n), 2200), true);
});

Deno.test("partsOfName gives back what nameOf was given", () => {
  for (const key of [5n, -9223372036854775808n, "a/b", "i7", ""]) {
    assert.deepEqual(partsOfName(nameOf(-1n, key)), { partition: -1n, key });
  }
});
