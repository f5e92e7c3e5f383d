import assert from "node:assert/strict";
import { listBackups, readBackup, whereBackupsAre } from "../../../sources/backup/mod.ts";
import { createFileStore, createMemoryStore } from "../../../stores/mod.ts";

const text = (value: string) => new TextEncoder().encode(value);

Deno.test("whereBackupsAre names the backups, how many there are besides, and a place that is one level off", async () => {
  const store = createMemoryStore();
  assert.equal(await whereBackupsAre(store), "There is nothing at all here: check bucket, prefix or path.");
  await store.put("scratch/x", text("x"));
  assert.equal(await whereBackupsAre(store), "There is no backup here, only scratch: check bucket, prefix or path.");
  await store.put("backup/nightly/meta/backup_meta.json", text("{}"));
  assert.equal(
    await whereBackupsAre(store),
    "There is none here, but there are some one level further down, in backup.",
  );
  for (let i = 10; i < 32; i++) await store.put(`b${i}/meta/backup_meta.json`, text("{}"));
  const said = await whereBackupsAre(store);
  assert.match(said, /^There are: b10, b11, .*, b29 and 2 more\.$/);
  assert.ok(!said.includes("scratch"));
  const inside = createMemoryStore();
  await inside.put("meta/backup_meta.json", text("{}"));
  await inside.put("binlogs/x", text("x"));
  assert.equal(await whereBackupsAre(inside), "This is the inside of a backup: give the folder that it lies in.");
});

Deno.test("readBackup and listBackups say of a backup of ours without tidemark.json that it is missing, not that all is well", async () => {
  const samples = createFileStore(new URL("../../samples", import.meta.url).pathname);
  const store = createMemoryStore();
  const name = "milvus-backup-0.5.16";
  for await (const { key } of samples.list(`${name}/`)) await store.put(key, await samples.get(key));
  assert.equal((await readBackup(store, name)).manifest, undefined);
  const key = `${name}/meta/backup_meta.json`;
  const own = {
    taken_ms: 1,
    collections: 1,
    rows: 1,
    pipeline: "p",
    previous: "",
    exact_from: 1,
    log_archive: true,
    failed: 0,
  };
  await store.put(
    key,
    text(JSON.stringify({ ...JSON.parse(new TextDecoder().decode(await store.get(key))), tidemark: own })),
  );
  await assert.rejects(readBackup(store, name), {
    code: "damaged",
    message: /was made by Tidemark, but its tidemark\.json is missing/,
  });
  const [listed] = await listBackups(store);
  assert.equal(listed!.state, "unreadable");
  assert.match(listed!.problem, /tidemark\.json is missing/);
  assert.equal(listed!.hasLog, false);
});
