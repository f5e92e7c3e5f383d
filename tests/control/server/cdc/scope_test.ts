/** The cases of milvus-cdc's own `TestCheckDuplicateCollection`. */
import assert from "node:assert/strict";
import { leftToOthers } from "../../../../control/server/cdc/scope.ts";

interface Given {
  readonly names: readonly string[];
  readonly excluded: readonly string[];
  readonly userRole: boolean;
  readonly target: string;
}

/** Tasks come one after the other; a refused one leaves nothing behind. */
class Target {
  readonly tasks: Given[] = [];

  add(
    names: readonly string[],
    more: { userRole?: boolean; mapped?: string[]; target?: string } = {},
  ): number | string {
    const { userRole = false, mapped = [], target = "foo" } = more;
    const given = this.tasks.map(({ names, ...rest }) => ({
      ...rest,
      collectionInfos: null,
      dbCollections: byDb(names),
    }));
    try {
      const excluded = leftToOthers({ target, names, userRole, mapped }, given);
      this.tasks.push({ target, names, userRole, excluded });
      return excluded.length;
    } catch (error) {
      return (error as Error).message.replace(/,.*$/, "");
    }
  }

  remove(name: string): void {
    const at = this.tasks.findIndex(({ names }) => names.includes(name));
    const task = this.tasks[at]!;
    this.tasks[at] = { ...task, names: task.names.filter((other) => other !== name) };
  }
}

function byDb(names: readonly string[]) {
  const all: Record<string, { name: string; positions: null; use_start_position: boolean }[]> = {};
  for (const full of names) {
    const [db, name] = full.split(".") as [string, string];
    (all[db] ??= []).push({ name, positions: null, use_start_position: false });
  }
  return all;
}

const DUPLICATE = "the collection name is duplicate with existing task";

Deno.test("leftToOthers allows one task of a target to carry users and roles", () => {
  const target = new Target();
  assert.equal(target.add([], { userRole: true }), 0);
  assert.equal(target.add([], { userRole: true }), "the enable user role param is duplicate");
  assert.equal(target.add([], { userRole: true, target: "hoo" }), 0);
});

Deno.test("leftToOthers leaves to other tasks what they have of a star, of one database and of all", () => {
  const one = new Target();
  assert.equal(one.add(["default.foo", "default.hoo"]), 0);
  assert.equal(one.add(["default.*"]), 2);
  assert.equal(one.add(["default.doo"]), DUPLICATE);
  one.remove("default.foo");
  assert.equal(one.add(["default.hoo"]), DUPLICATE);
  assert.equal(one.add(["default.foo"]), 0);

  const more = new Target();
  assert.equal(more.add(["db1.foo", "db2.foo"]), 0);
  assert.equal(more.add(["*.foo"]), 2);
  assert.equal(more.add(["db3.foo"]), DUPLICATE);
  more.remove("db1.foo");
  assert.equal(more.add(["db2.foo"]), DUPLICATE);
  assert.equal(more.add(["db1.foo"]), 0);

  const mixed = new Target();
  assert.equal(mixed.add(["*.foo", "db2.hoo"]), 0);
  assert.equal(mixed.add(["*.*"]), 2);
  assert.equal(mixed.add(["db3.foo"]), DUPLICATE);
  mixed.remove("*.foo");
  assert.equal(mixed.add(["db2.foo"]), DUPLICATE);
  assert.equal(mixed.add(["*.hoo"]), DUPLICATE);
  assert.equal(mixed.add(["db2.hoo"]), DUPLICATE);
  assert.equal(mixed.add(["*.foo"]), 0);

  const apart = new Target();
  assert.equal(apart.add(["*.foo"]), 0);
  assert.equal(apart.add(["col1.default"]), 0);
});

Deno.test("leftToOthers wants the sources of a name mapping among the collections", () => {
  const target = new Target();
  const names = ["*.foo", "db2.hoo"];
  assert.equal(
    target.add(names, { mapped: ["db.hoo"] }),
    "the collection name in the name mapping is not in the collection info",
  );
  assert.equal(target.add(names, { mapped: ["db.foo"] }), 0);
});
