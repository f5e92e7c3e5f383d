import assert from "node:assert/strict";
import { checkFiles } from "../../control/source_files.ts";
import type { LogFile, Segment, Snapshot } from "../../pipeline/model/mod.ts";
import { createMemoryStore } from "../../stores/mod.ts";

const signal = AbortSignal.timeout(60_000);
const file = (path: string) => ({ path } as LogFile);
const segment = (path: string): Segment =>
  ({ class: "rows", binlogs: [{ fieldId: 0n, childFields: [], files: [file(path)] }] }) as unknown as Segment;

Deno.test("checkFiles fails where no file of the metadata is in the storage, and passes where some are", async () => {
  const store = createMemoryStore();
  const binlogs = { object: ({ path }: LogFile) => ({ store, key: `files/${path}` }) };
  const of = (segments: Segment[]) => checkFiles({ segments } as unknown as Snapshot, binlogs, signal);
  assert.deepEqual(await of([]), []);
  // Another cluster's files lie there: the folders are right, the segments are not.
  await store.put("files/insert_log/9/9/9/0/9", new Uint8Array(1));
  const segments = [segment("insert_log/1/2/3/0/4"), segment("insert_log/1/2/5/0/6")];
  const [line] = await of(segments);
  assert.equal(line!.ok, "fail");
  assert.equal(line!.code, "not_found");
  assert.match(line!.detail, /None of 2 files that the metadata names .* for example files\/insert_log\/1\/2\/5\/0\/6/);
  await store.put("files/insert_log/1/2/3/0/4", new Uint8Array(1));
  assert.equal((await of(segments))[0]!.ok, "ok");
});
