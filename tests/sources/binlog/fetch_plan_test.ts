import assert from "node:assert/strict";
import { fetchModes } from "../../../sources/binlog/fetch_plan.ts";
import { fileOf } from "./sample.ts";

const MIB = 1024 ** 2;
const group = (columns: number, ...sizes: number[]) => ({
  columns,
  files: sizes.map((size, i) => ({ file: fileOf(`insert_log/1/2/3/0/${i}`, size) })),
});

Deno.test("fetchModes fetches whole files while two of each group fit the memory, and ranges beyond", () => {
  const small = [group(3, 2 * MIB, 3 * MIB), group(1, 4 * MIB)];
  assert.deepEqual(fetchModes(small, 14 * MIB), [{ kind: "whole" }, { kind: "whole" }]);
  assert.ok(fetchModes(small, 14 * MIB - 1).every(({ kind }) => kind === "ranges"));
});

Deno.test("fetchModes gives large groups several MiB at once, small ones little, and holds a second range for many columns", () => {
  const modes = fetchModes([group(3, 2 * MIB), group(16, 20 * MIB), group(1, 400 * MIB)], 32 * MIB);
  const [system, scalars, vectors] = modes.map((mode) => mode.kind === "ranges" ? mode : assert.fail());
  assert.deepEqual([system!.keep, scalars!.keep, vectors!.keep], [2, 2, 1]);
  assert.equal(vectors!.window, 8 * MIB);
  assert.equal(system!.window, 256 * 1024);
  const held = [system!, scalars!, vectors!].reduce((sum, { window, keep }) => sum + window * keep, 0);
  assert.ok(held <= 32 * MIB, `${held} bytes`);
});

Deno.test("fetchModes takes ranges of files whose size nobody knows", () => {
  const modes = fetchModes([group(1, 0), group(1, 0), group(2, MIB)], 32 * MIB);
  assert.ok(modes.every((mode) => mode.kind === "ranges" && mode.window >= 256 * 1024 && mode.window <= 8 * MIB));
});
