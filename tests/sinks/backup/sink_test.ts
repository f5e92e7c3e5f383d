import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { backupSinkSpec, createBackupSink } from "../../../sinks/backup/mod.ts";
import { createFileStore, createMemoryStore } from "../../../stores/mod.ts";
import { collection, facts, segment, sinkOn, sourceStore, testArchiveSink } from "../../conformance/archive_sink.ts";

const signal = new AbortController().signal;

testArchiveSink("backup sink in memory", {
  async store() {
    const memory = createMemoryStore();
    return { open: async () => memory, async [Symbol.asyncDispose]() {} };
  },
});

testArchiveSink("backup sink in a folder", {
  async store() {
    const path = await Deno.makeTempDir();
    return {
      open: async () => createFileStore(path),
      [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
    };
  },
});

Deno.test("createBackupSink stores unchanged files of a folder once: two bases, one inode", async () => {
  const path = await Deno.makeTempDir();
  try {
    const store = createFileStore(path);
    const item = segment(11n);
    const { object } = await sourceStore([item]);
    const write = async (name: string, previous: string | undefined) => {
      const session = await sinkOn(store, { name }).open({ resume: undefined, previous, nowMs: 0 }, signal);
      await session.begin(facts(), signal);
      const { sharedBytes } = await session.copySegment(item, object, [], signal);
      const report = await session.finishBase([{ collection: collection(), segmentIds: [11n] }], [], signal);
      strictEqual(report.sharedBytes, sharedBytes);
      return sharedBytes;
    };
    strictEqual(await write("b1", undefined), 0n);
    const size = item.binlogs.flatMap(({ files }) => files).length > 0 ? await write("b2", "b1") : 0n;
    strictEqual(size > 0n, true);
    const file = `binlogs/insert_log/${item.collectionId}/2/11/11/100/210`;
    const [one, two] = await Promise.all(["b1", "b2"].map((name) => Deno.stat(`${path}/${name}/${file}`)));
    strictEqual(one!.ino, two!.ino);
    // The first can go; the second keeps its bytes.
    await Deno.remove(`${path}/b1`, { recursive: true });
    strictEqual((await Deno.stat(`${path}/b2/${file}`)).size, two!.size);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
});

Deno.test("createBackupSink calls a second base within one second after the next", async () => {
  const store = createMemoryStore();
  const names: string[] = [];
  for (let i = 0; i < 3; i++) {
    const sink = sinkOn(store, { name: "b_{time}" });
    const session = await sink.open({ resume: undefined, previous: undefined, nowMs: 0 }, signal);
    await store.put(`${session.name}/meta/backup_meta.json`, new Uint8Array(2));
    names.push(session.name);
  }
  deepStrictEqual(names, ["b_00_00_00", "b_00_00_01", "b_00_00_02"]);
});

Deno.test("createBackupSink says when a new base is due: schedule, age and size", async () => {
  const hour = 3_600_000;
  const due = async (settings: Record<string, unknown>, nowMs: number) => {
    const config = backupSinkSpec.parse({ type: "backup", storage: { type: "file", path: "/nowhere" }, ...settings });
    const store = createMemoryStore();
    const sink = createBackupSink(config, { name: "b", store, pipeline: "p", program: "t", now: () => 0 });
    // 2026-11-21T02:00Z
    const session = await sink.open(
      { resume: undefined, previous: undefined, nowMs: Date.UTC(2026, 10, 21, 2) },
      signal,
    );
    return sink.due(session, nowMs);
  };
  const at = (time: number) => Date.UTC(2026, 10, 21, time);
  deepStrictEqual(await due({ schedule: "0 3 * * *" }, at(2) + hour - 1), undefined);
  deepStrictEqual(await due({ schedule: "0 3 * * *" }, at(3)), "schedule 0 3 * * *");
  deepStrictEqual(await due({ schedule: "0 3 * * *", time_zone: "Europe/Berlin" }, at(3)), undefined);
  deepStrictEqual(await due({ rebase_after: { age: "2h" } }, at(3)), undefined);
  deepStrictEqual(await due({ rebase_after: { age: "2h" } }, at(4)), "the base is older than rebase_after.age");
  deepStrictEqual(await due({ rebase_after: { size: "1GiB" } }, at(4)), undefined);
});

Deno.test("backupSinkSpec refuses names that milvus-backup would, and a fixed name for several backups", () => {
  const storage = { type: "file", path: "/b" };
  const valid = (settings: Record<string, unknown>) =>
    backupSinkSpec.safeParse({ type: "backup", storage, ...settings }).success;
  deepStrictEqual(
    [{}, { name: "nightly_{date}" }, { name: "1st" }, { name: "a-b" }, { name: "fixed", schedule: "@daily" }, {
      name: "n_{date}",
      schedule: "0 3 * * *",
    }, { schedule: "whenever" }].map(valid),
    [true, true, false, false, false, true, false],
  );
});
