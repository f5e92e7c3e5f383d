/** Which source collection is what on the target, whatever happens between a change there and its note in the state. */
import assert from "node:assert/strict";
import type { CrashPoint } from "../../../../pipeline/flow/mod.ts";
import { FakePipeline, type FakeRun, until } from "../../../fakes/pipeline.ts";
import { FakeRowSink } from "../../../fakes/row_sink.ts";
import { FakeSource } from "../../../fakes/source.ts";
import { seeded } from "../../../integration/pipeline/random_workload.ts";

const SEEDS = (Deno.env.get("TIDEMARK_TARGETS_SEEDS") ?? "1,2,3,4,5,6,7,8").split(",").map(Number);

function setup() {
  const source = new FakeSource();
  const replica = new FakeRowSink("replica");
  const pipeline = new FakePipeline(source, { rows: [replica] });
  return { source, replica, pipeline };
}

function same({ source, replica }: { readonly source: FakeSource; readonly replica: FakeRowSink }): boolean {
  const texts = [source.rows, replica.rows].map((all) =>
    JSON.stringify([...all].sort().map(([name, rows]) => [name, [...rows].sort().map(String)]))
  );
  return texts[0] === texts[1];
}

/** A run that is killed where it passes a phase of which `at` says so. */
function killAt(
  { pipeline, replica }: ReturnType<typeof setup>,
  at: (point: CrashPoint) => boolean,
): { run: FakeRun; dead: () => boolean } {
  let dead = false;
  const holder: { run?: FakeRun } = {};
  pipeline.override = {
    crash: (point) => {
      if (!dead && !at(point)) return;
      dead = true;
      // What a process does not live to ask for, its target does not do.
      replica.gone = true;
      holder.run!.kill().catch(() => {});
      throw new DOMException("killed by the test", "AbortError");
    },
  };
  const run = holder.run = pipeline.start();
  pipeline.override = {};
  return { run, dead: () => dead };
}

const THEN: Readonly<Record<string, (source: FakeSource) => void>> = {
  "is left as it is": () => {},
  "is renamed again": (source) => source.rename("b", "c"),
  "gets its old name back": (source) => source.rename("b", "a"),
  "is dropped": (source) => source.drop("b"),
  "is dropped, and its old name is given to another": (source) => {
    source.drop("b");
    source.create("a", "p_1");
    source.insert("a", [7n, 70n]);
  },
  "is renamed again, and both its names are given to others": (source) => {
    source.rename("b", "c");
    source.rename("other", "b");
    source.create("a", "p_1");
    source.insert("a", [7n, 70n]);
  },
};

for (const [what, then] of Object.entries(THEN)) {
  for (const when of ["behind", "before"] as const) {
    Deno.test(`run killed right ${when} a rename on the target loses and leaves nothing where the collection ${what}`, async () => {
      const all = setup();
      const { source, replica, pipeline } = all;
      source.create("a", "p_0");
      source.create("other", "p_1");
      source.insert("a", [1n, 10n], [2n, 20n]);
      source.insert("other", [5n, 50n]);
      await pipeline.once();
      assert.ok(same(all));
      const first = replica.reconcile;
      if (when === "before") {
        replica.reconcile = (...args) => args[1] === undefined ? first.apply(replica, args) : Promise.resolve([]);
      }
      const { run, dead } = killAt(all, (point) => point === "inside_rename");
      {
        using _ticking = source.ticking();
        source.rename("a", "b");
        await until("it is dead", dead);
        await run.kill();
      }
      replica.gone = false;
      replica.reconcile = first;
      assert.equal(replica.rows.has("b"), when === "behind");
      then(source);
      await pipeline.once();
      assert.deepEqual(replica.rows, source.rows);
      assert.deepEqual(pipeline.warnings, []);
    });
  }
}

Deno.test("run copies afresh what somebody dropped from the target between two runs, and says so", async () => {
  const { source, replica, pipeline } = setup();
  for (const name of ["a", "b"]) {
    source.create(name, "p_0");
    source.insert(name, [1n, 10n], [2n, 20n]);
  }
  await pipeline.once();
  const actions = async () => (await pipeline.plan()).collections.map(({ action }) => action);
  assert.deepEqual(await actions(), ["tail", "tail"]);
  replica.rows.delete("a");
  assert.deepEqual(await actions(), ["base", "tail"]);
  source.insert("a", [3n, 30n]);
  source.delete("a", 1n);
  await pipeline.once();
  assert.deepEqual(replica.rows, source.rows);
  assert.deepEqual(pipeline.warnings, [
    "default.a is gone from replica, where it had been made; default.a is copied afresh",
  ]);
  pipeline.warnings.length = 0;
  await pipeline.once();
  assert.deepEqual(pipeline.warnings, []);
});

Deno.test("run takes one that somebody made anew on the target for something that was there, and says so", async () => {
  const { source, replica, pipeline } = setup();
  source.create("a", "p_0");
  source.insert("a", [1n, 10n], [2n, 20n]);
  await pipeline.once();
  replica.rows.set("a", new Map([[9n, 90n]]));
  source.insert("a", [3n, 30n]);
  await pipeline.once();
  // Merged into, as the pipelines of these tests are told to.
  assert.deepEqual(replica.rows, new Map([["a", new Map([[9n, 90n], [1n, 10n], [2n, 20n], [3n, 30n]])]]));
  assert.deepEqual(pipeline.warnings, [
    "default.a on replica is another one than had been made there; default.a is copied afresh",
  ]);
});

Deno.test("run takes what somebody renamed on the target as the source renamed it", async () => {
  const { source, replica, pipeline } = setup();
  source.create("a", "p_0");
  source.insert("a", [1n, 10n]);
  await pipeline.once();
  source.rename("a", "b");
  replica.rows.set("b", replica.rows.get("a")!);
  replica.rows.delete("a");
  source.insert("b", [2n, 20n]);
  await pipeline.once();
  assert.deepEqual(replica.rows, source.rows);
  assert.deepEqual(pipeline.warnings, []);
});

Deno.test("run holds a collection that is renamed to what the target has of others, and touches neither", async () => {
  const { source, replica, pipeline } = setup();
  source.create("a", "p_0");
  source.insert("a", [1n, 10n]);
  await pipeline.once();
  replica.rows.set("b", new Map([[9n, 90n]]));
  source.rename("a", "b");
  source.insert("b", [2n, 20n]);
  const { blocked } = await pipeline.once();
  assert.match(blocked[0]!.reason, /default\.a cannot be renamed to default\.b: that exists on replica already/);
  assert.deepEqual(replica.rows, new Map([["a", new Map([[1n, 10n]])], ["b", new Map([[9n, 90n]])]]));
  replica.rows.delete("b");
  await pipeline.once();
  assert.deepEqual(replica.rows, source.rows);
});

Deno.test("run holds what somebody drops from the target under it, makes no empty one, and the next copies it afresh", async () => {
  for (const change of ["insert", "rename"] as const) {
    const { source, replica, pipeline } = setup();
    for (const name of ["a", "b"]) {
      source.create(name, "p_0");
      source.insert(name, [1n, 10n]);
    }
    const run = pipeline.start();
    using _ticking = source.ticking();
    await until("it follows", () => run.status().phase === "tail" && replica.rows.get("a")?.size === 1);
    replica.rows.delete("a");
    if (change === "insert") source.insert("a", [2n, 20n]);
    else source.rename("a", "c");
    await until(
      "it is held",
      () => pipeline.warnings.some((text) => text.includes("default.a:") || text.includes("default.c:")),
    );
    source.insert("b", [2n, 20n]);
    await until("the other goes on", () => replica.rows.get("b")?.size === 2);
    assert.deepEqual([...replica.rows.keys()], ["b"], change);
    await run.stop();
    await pipeline.once();
    assert.deepEqual(replica.rows, source.rows);
  }
});

Deno.test("run notes a database before it is made", async () => {
  const { source, replica, pipeline } = setup();
  source.create("a", "p_0");
  const noted: [bigint, string][][] = [];
  replica.reconcileDatabases = () => {
    noted.push([...pipeline.saved("replica")?.databases ?? []]);
    return Promise.resolve([]);
  };
  await pipeline.once();
  assert.deepEqual(noted[0], [[1n, "default"]]);
});

for (const seed of SEEDS) {
  Deno.test(`run killed at any phase while names change hands ends with the source's collections and rows (seed ${seed})`, async () => {
    const random = seeded(seed);
    const int = (end: number) => Math.floor(random() * end);
    for (let round = 0; round < 12; round++) {
      const all = setup();
      const { source, replica, pipeline } = all;
      const said: string[] = [];
      let next = 0n;
      const work = () => {
        const names = [...source.rows.keys()];
        const name = names[int(names.length)];
        const free = "abcdef".split("").filter((one) => !names.includes(one));
        const roll = random();
        if (name === undefined || (roll < 0.2 && free.length > 0)) {
          said.push(`create ${free[0]}`);
          source.create(free[0]!, `p_${int(2)}`);
        } else if (roll < 0.35) {
          said.push(`drop ${name}`);
          source.drop(name);
        } else if (roll < 0.65 && free.length > 0) {
          const to = free[int(free.length)]!;
          said.push(`rename ${name} ${to}`);
          source.rename(name, to);
        } else if (roll < 0.75 && names.length > 1) {
          const other = names.find((one) => one !== name)!;
          said.push(`swap ${name} ${other}`);
          source.rename(name, "x");
          source.rename(other, name);
          source.rename("x", other);
        } else {
          said.push(`insert ${name}`);
          source.insert(name, [++next, next * 10n]);
        }
      };
      for (let i = 0; i < 4; i++) work();
      using _ticking = source.ticking();
      for (let kills = 0; kills < 6; kills++) {
        const left = int(12);
        let passed = 0;
        const { run, dead } = killAt(all, () => passed++ >= left);
        for (let i = int(5); i >= 0 && !dead(); i--) {
          work();
          await new Promise((resolve) => setTimeout(resolve, int(4)));
        }
        said.push("kill");
        await run.kill().catch(() => {});
        replica.gone = false;
        for (let i = int(3); i > 0; i--) work();
      }
      await pipeline.once();
      assert.deepEqual(replica.rows, source.rows, `round ${round}: ${said.join(", ")}; ${pipeline.warnings}`);
      assert.deepEqual(pipeline.warnings.filter((text) => text.includes("gone from")), [], said.join(", "));
    }
  });
}

for (const seen of [true, false]) {
  Deno.test(`run says that the next start copies what a new name selects, where rows passed by ${seen ? "in it" : "before it"}`, async () => {
    const { source, replica, pipeline } = setup();
    pipeline.override = { selects: (_db, name) => name !== "a" };
    source.create("a", "p_0");
    source.create("c", "p_0");
    source.insert("a", [1n, 10n]);
    await pipeline.once();
    using _ticking = source.ticking();
    const run = pipeline.start();
    if (seen) source.insert("a", [2n, 20n]);
    source.insert("c", [1n, 10n]);
    await until("c is there", () => replica.rows.get("c")?.size === 1);
    source.rename("a", "b");
    source.insert("b", [3n, 30n]);
    source.insert("c", [2n, 20n]);
    await until("both are read", () => replica.rows.get("c")?.size === 2);
    await until("it is said", () => pipeline.warnings.length > 0);
    assert.equal(replica.rows.has("b"), false);
    await run.stop();
    assert.deepEqual(pipeline.warnings, [
      "default.b is selected since it got its name: this run has passed over its rows, and the next start copies it",
    ]);
    await pipeline.once();
    assert.deepEqual(replica.rows, source.rows);
  });
}
