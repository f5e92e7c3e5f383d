import assert from "node:assert/strict";
import { unlessNew } from "../../control/commands/check.ts";
import type { CheckLine, Snapshot } from "../../pipeline/model/mod.ts";
import { createBinlogSource } from "../../sources/binlog/mod.ts";
import { createFileStore, createMemoryStore } from "../../stores/mod.ts";

const never = new AbortController().signal;
const withFiles = { segments: [{ binlogs: [{}], manifestPath: "" }] } as unknown as Pick<Snapshot, "segments">;
const withManifest = { segments: [{ binlogs: [], manifestPath: "m" }] } as unknown as Pick<Snapshot, "segments">;
const growing = { segments: [{ binlogs: [], manifestPath: "" }] } as unknown as Pick<Snapshot, "segments">;

Deno.test("unlessNew: a folder or root without files is no fault of a source whose metadata names none", async () => {
  const dir = await Deno.makeTempDir();
  const shared = createMemoryStore();
  await shared.put("of others/x", new Uint8Array([1]));
  try {
    for (
      const source of [
        createBinlogSource({ store: createFileStore(dir), root: "" }),
        createBinlogSource({ store: createFileStore(`${dir}/not made yet`), root: "" }),
        createBinlogSource({ store: shared, root: "files" }),
      ]
    ) {
      const found = await source.check(never);
      assert.deepEqual(found.map(({ ok, code }) => [ok, code]), [["fail", "not_found"]]);
      for (const snapshot of [withFiles, withManifest, undefined]) {
        const [line] = unlessNew(found, snapshot);
        assert.deepEqual([line!.ok, line!.code, "absent" in line!], ["fail", "not_found", false]);
      }
      for (const snapshot of [growing, { segments: [] }]) {
        const [line] = unlessNew(found, snapshot);
        assert.equal(line!.ok, "warn");
        assert.match(line!.detail, /The metadata names no file yet, so none is missed so far$/);
      }
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("unlessNew: a bucket that does not exist is a fault of a new source, too", () => {
  const line: CheckLine = { what: "binlogs", ok: "fail", detail: "No bucket a-bucket", code: "not_found" };
  assert.deepEqual(unlessNew([line], { segments: [] }), [line]);
});
