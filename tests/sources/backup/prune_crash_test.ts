/** A prune that dies at any of its steps: half-removed is shown as that, the next prune finishes it, the others stay good. */
import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import type { ObjectStore } from "../../../pipeline/model/mod.ts";
import { applyPrune, listBackups, planPrune, readBackup, verifyBackup } from "../../../sources/backup/mod.ts";
import { createFileStore } from "../../../stores/mod.ts";
import { collection, facts, segment, sinkOn, sourceStore } from "../../conformance/archive_sink.ts";

const signal = new AbortController().signal;

/** Two bases of one pipeline, the second with hard links to the first one's files. */
async function twoBases(path: string): Promise<ObjectStore> {
  const store = createFileStore(path);
  const items = [segment(11n), segment(12n)];
  const { object } = await sourceStore(items);
  for (const [nowMs, name] of ["old", "new"].entries()) {
    const previous = nowMs === 0 ? undefined : "old";
    const session = await sinkOn(store, { name }).open({ resume: undefined, previous, nowMs }, signal);
    await session.begin({ ...facts(), takenAtMs: nowMs }, signal);
    for (const item of items) await session.copySegment(item, object, [], signal);
    await session.finishBase([{ collection: collection(), segmentIds: [11n, 12n] }], [], signal);
    await session.close();
  }
  return store;
}

/** Removes `steps` objects, then fails for ever; writing counts too. */
function dyingAfter(store: ObjectStore, steps: number): ObjectStore & { readonly left: number } {
  let left = steps;
  const step = () => {
    if (left-- <= 0) throw new Error("killed");
  };
  return {
    ...store,
    get left() {
      return left;
    },
    async put(...args) {
      step();
      return await store.put(...args);
    },
    async delete(keys) {
      for (const key of keys) {
        step();
        await store.delete([key]);
      }
    },
  };
}

const plan = async (store: ObjectStore) => planPrune(await listBackups(store), { last: 1 }, { nowMs: 10 });

Deno.test("applyPrune cut short at any step leaves what is no good backup, and the next one finishes it", async () => {
  for (let steps = 0;; steps++) {
    const path = await Deno.makeTempDir();
    try {
      const store = await twoBases(path);
      const dying = dyingAfter(store, steps);
      const decided = await plan(store);
      const died = await applyPrune(dying, decided).then(() => false, () => true);
      const states = new Map((await listBackups(store)).map(({ name, state }) => [name, state]));
      strictEqual(states.get("new"), "complete");
      ok((await verifyBackup(store, "new")).ok, `new after ${steps} steps`);
      if (!died) {
        ok(steps > 10, "there was something to remove");
        deepStrictEqual([...states.keys()], ["new"]);
        return;
      }
      // The mark alone changes nothing yet: all of it is there.
      if (steps < 2) ok((await verifyBackup(store, "old")).ok);
      strictEqual(states.get("old"), steps < 2 ? "complete" : "half-removed", `after ${steps} steps`);
      if (steps >= 2) {
        await rejects(readBackup(store, "old"), { code: "damaged", message: /half-removed/ });
        const resume = sinkOn(store, { name: "old" }).open({ resume: "old", previous: undefined, nowMs: 1 }, signal);
        await rejects(resume, { code: "target_not_empty", message: /half-removed/ });
      }
      deepStrictEqual(await applyPrune(store, await plan(store)), ["old"]);
      deepStrictEqual((await listBackups(store)).map(({ name, state }) => [name, state]), [["new", "complete"]]);
      ok((await verifyBackup(store, "new")).ok);
      deepStrictEqual(await store.folders(""), ["new"]);
    } finally {
      await Deno.remove(path, { recursive: true });
    }
  }
});
