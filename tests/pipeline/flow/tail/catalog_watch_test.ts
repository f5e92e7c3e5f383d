import assert from "node:assert/strict";
import { TidemarkError } from "../../../../pipeline/errors.ts";
import { CatalogWatch } from "../../../../pipeline/flow/tail/catalog_watch.ts";
import type { CatalogChange, Snapshot } from "../../../../pipeline/model/mod.ts";
import { FakeSource } from "../../../fakes/source.ts";

function watch(source: FakeSource, snapshot: Snapshot) {
  const stop = new AbortController();
  const followed: number[] = [];
  const it = new CatalogWatch({
    meta: source.meta,
    snapshot,
    follow: (collections) => followed.push(collections.length),
    signal: stop.signal,
  });
  return { it, stop, followed, running: it.run() };
}

const settle = () => new Promise((resolve) => setTimeout(resolve));

Deno.test("CatalogWatch lets a slow sink hold up no other; what piles up for it comes as one", async () => {
  const source = new FakeSource();
  const { it, stop, followed, running } = watch(source, await source.meta.snapshot(new AbortController().signal));
  const slow = Promise.withResolvers<void>();
  const quickly: CatalogChange[] = [];
  const slowly: CatalogChange[] = [];
  const telling = [
    it.tell(async (change) => void quickly.push(change)),
    it.tell(async (change) => {
      slowly.push(change);
      await slow.promise;
    }),
  ];
  const ids: bigint[] = [];
  for (const name of ["a", "b", "c"]) {
    ids.push(source.create(name, "p_0").id);
    await settle();
  }
  assert.deepEqual([quickly.map(({ changed }) => changed), followed], [ids.map((id) => [id]), [1, 2, 3]]);
  slow.resolve();
  await settle();
  assert.deepEqual(slowly.map(({ changed }) => changed), [ids.slice(0, 1), ids.slice(1)]);
  stop.abort();
  await Promise.all([...telling, running]);
});

Deno.test("CatalogWatch tells who comes later all that changed since the snapshot, then each change once", async () => {
  const source = new FakeSource();
  const before = source.create("before", "p_0");
  const { it, stop, running } = watch(source, await source.meta.snapshot(new AbortController().signal));
  const meanwhile = source.create("meanwhile", "p_0");
  await settle();
  const told: [string, readonly bigint[], number][] = [];
  const note = (what: string) => async (change: CatalogChange) => {
    told.push([what, change.changed, change.catalog.collections.length]);
  };
  const telling = it.tell(note("changed"), note("begun"));
  await settle();
  const later = source.create("later", "p_0");
  await settle();
  assert.deepEqual(told, [["begun", [before.id, meanwhile.id], 2], ["changed", [later.id], 3]]);
  stop.abort();
  await Promise.all([telling, running]);
});

Deno.test("CatalogWatch reads all of the metadata where etcd has compacted the revision away", async () => {
  const source = new FakeSource();
  const snapshot = await source.meta.snapshot(new AbortController().signal);
  const made = source.create("a", "p_0");
  let lost = true;
  const meta = {
    ...source.meta,
    watch: (revision: bigint, signal: AbortSignal) => {
      if (!lost) return source.meta.watch(revision, signal);
      lost = false;
      throw new TidemarkError("position_lost", "compacted");
    },
  };
  const stop = new AbortController();
  const it = new CatalogWatch({ meta, snapshot, follow: () => {}, signal: stop.signal });
  const told: bigint[] = [];
  const telling = it.tell(async ({ changed }) => void told.push(...changed));
  const running = it.run();
  await settle();
  assert.deepEqual(told, [made.id]);
  stop.abort();
  await Promise.all([telling, running]);
});
