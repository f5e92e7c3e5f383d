import assert from "node:assert/strict";
import type { DdlOutcome } from "../../../../pipeline/model/mod.ts";
import { FakePipeline } from "../../../fakes/pipeline.ts";
import { FakeRowSink } from "../../../fakes/row_sink.ts";
import { FakeSource } from "../../../fakes/source.ts";

const create = (name: string): DdlOutcome => ({
  kind: "create_database",
  collectionId: undefined,
  sentence: `Create database ${name}`,
  destructive: false,
  makes: [{ kind: "database", name }, { kind: "database_property", database: name, key: "k", value: "v" }],
  result: "skipped",
  detail: "",
});

Deno.test("plan says that the target's user may not create the databases that the copy needs, and asks only where it needs one", async () => {
  const source = new FakeSource();
  source.create("a", "p_0");
  let asked = 0;
  let words: string | undefined = "not permitted: PrivilegeCreateDatabase";
  let steps: DdlOutcome[] = [];
  const replica = Object.assign(new FakeRowSink("replica"), {
    reconcileDatabases: () => Promise.resolve(steps),
    databasesRefused: () => {
      asked++;
      return Promise.resolve(words);
    },
  });
  const pipeline = new FakePipeline(source, { rows: [replica] });
  assert.deepEqual((await pipeline.plan()).problems, []);
  assert.equal(asked, 0);
  steps = [create("shop")];
  assert.deepEqual((await pipeline.plan()).problems, [
    "The database shop is not on replica, and its user may not create it: not permitted: PrivilegeCreateDatabase. " +
    "Create what is missing there, or grant the user CreateDatabase",
  ]);
  steps = [create("shop"), create("sales")];
  assert.match((await pipeline.plan()).problems[0]!, /^The databases shop, sales are not on replica.* create them: /);
  words = undefined;
  assert.deepEqual((await pipeline.plan()).problems, []);
  assert.equal(asked, 3);
});
