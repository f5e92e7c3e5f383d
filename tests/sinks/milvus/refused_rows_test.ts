import assert from "node:assert/strict";
import fc from "fast-check";
import { TidemarkError } from "../../../pipeline/errors.ts";
import { ServerAnswer } from "../../../sinks/milvus/fault.ts";
import { isolateRows } from "../../../sinks/milvus/refused_rows.ts";
import type { Unfit } from "../../../sinks/milvus/row_check.ts";

const refusal = (words: string) =>
  new TidemarkError("refused", `The target refused to insert: ${words}`, {
    cause: new ServerAnswer("status", 1100, 5, words),
  });

/** A server that refuses every request with one of `bad`, and what it took. */
function server(bad: ReadonlySet<number>) {
  const taken: number[] = [];
  let requests = 0;
  const send = (rows: Uint32Array) => {
    requests++;
    const found = rows.find((row) => bad.has(row));
    if (found !== undefined) return Promise.reject(refusal(`row ${found} is bad`));
    taken.push(...rows);
    return Promise.resolve();
  };
  return { send, taken, requests: () => requests };
}

const tooLong = (row: number): Unfit => ({ row, field: "title", kind: "length", found: 40, limit: 8 });

Deno.test("isolateRows writes every row but the bad ones, each once, whatever of them the limits explain", async () => {
  const rows = fc.integer({ min: 2, max: 60 }).chain((count) =>
    fc.record({
      count: fc.constant(count),
      bad: fc.uniqueArray(fc.nat(count - 1), { minLength: 1, maxLength: count - 1 }),
      explained: fc.double({ min: 0, max: 1, noNaN: true }),
    })
  );
  await fc.assert(fc.asyncProperty(rows, async ({ count, bad, explained }) => {
    const target = server(new Set(bad));
    const known = bad.slice(0, Math.floor(bad.length * explained));
    const refused = await isolateRows({
      rows: count,
      send: target.send,
      unfit: () => known.map(tooLong).sort((a, b) => a.row - b.row),
    }, refusal("no"));
    assert.deepEqual(refused.map(({ row }) => row), bad.toSorted((a, b) => a - b));
    const good = Array.from({ length: count }, (_, row) => row).filter((row) => !bad.includes(row));
    assert.deepEqual(target.taken.toSorted((a, b) => a - b), good);
  }));
});

Deno.test("isolateRows names field, length and limit where the schema explains it, the server's words elsewhere", async () => {
  const target = server(new Set([1, 3]));
  const refused = await isolateRows({ rows: 5, send: target.send, unfit: () => [tooLong(1)] }, refusal("no"));
  assert.equal(refused[0]!.reason, "field title has 40 bytes, the target's max_length is 8");
  assert.equal(refused[1]!.reason, "the target says: row 3 is bad (code 1100)");
});

Deno.test("isolateRows asks for what the target may be configured to take, and keeps no row of it back", async () => {
  const target = server(new Set([2]));
  const json = (row: number): Unfit => ({ row, field: "j", kind: "json", found: 70_000, limit: 65_536 });
  const refused = await isolateRows({ rows: 4, send: target.send, unfit: () => [json(0), json(2)] }, refusal("no"));
  assert.deepEqual(refused.map(({ row }) => row), [2]);
  assert.deepEqual(target.taken.toSorted(), [0, 1, 3]);
});

Deno.test("isolateRows takes a refusal that all rows share for one of the request, and does not ask for thousands", async () => {
  for (const rows of [2, 8192]) {
    const target = server(new Set(Array.from({ length: rows }, (_, row) => row)));
    await assert.rejects(
      isolateRows({ rows, send: target.send, unfit: () => [] }, refusal("no such thing")),
      /no such thing/,
    );
    assert.ok(target.requests() < 250, `${target.requests()} requests`);
  }
});

Deno.test("isolateRows lets what is no refusal of rows through", async () => {
  const send = () => Promise.reject(new TidemarkError("not_found", "collection not found"));
  await assert.rejects(isolateRows({ rows: 2, send, unfit: () => [] }, refusal("no")), { code: "not_found" });
});
