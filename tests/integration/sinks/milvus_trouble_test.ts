/** The Milvus sink against a target of its own with logins and a write quota, which is stopped and killed under it. */
import assert from "node:assert/strict";
import {
  type Catalog,
  type DdlStep,
  type Rbac,
  type RowSink,
  type Thing,
  thingText,
} from "../../../pipeline/model/mod.ts";
import { createMilvusSink, milvusSinkSpec, type SinkState } from "../../../sinks/milvus/mod.ts";
import { items, loaded, made, named, range, readAll, removal, write } from "../../conformance/row_sink.ts";
import { LOADED } from "../../sinks/milvus/sample.ts";
import { eventually } from "../../stack/eventually.ts";
import { startStack } from "../../stack/mod.ts";

const signal = new AbortController().signal;

interface Opened extends AsyncDisposable {
  readonly sink: RowSink;
  readonly states: SinkState[];
}

function open(address: string, more: Record<string, unknown> = {}): Opened {
  const states: SinkState[] = [];
  const config = milvusSinkSpec.parse({ type: "milvus", address, token: "root:Milvus", timeout: "2s", ...more });
  const sink = createMilvusSink(config, { onState: (state) => states.push(state) });
  return { sink, states, [Symbol.asyncDispose]: () => sink.close() };
}

function catalog(rbac: Partial<Rbac>): Catalog {
  const empty = { users: [], roles: ["admin", "public"], grants: [], privilegeGroups: [] };
  return { databases: [], collections: [], notLive: [], rbac: { ...empty, ...rbac } };
}

Deno.test("createMilvusSink on a target with logins, quotas and outages", async (t) => {
  await using stack = await startStack("demo", {
    without: ["kafka", "source"],
    target: {
      "common.security.authorizationEnabled": true,
      "quotaAndLimits.enabled": true,
      "quotaAndLimits.dml.enabled": true,
      "quotaAndLimits.dml.insertRate.max": 0.2,
      "quotaAndLimits.dml.upsertRate.max": 0.2,
    },
  });
  const address = stack.env.TARGET_URI!;

  await t.step("says that the login is wrong, at once", async () => {
    await using wrong = open(address, { token: "root:nonsense" });
    const lines = await wrong.sink.check(signal);
    assert.deepEqual(lines.filter((one) => one.ok === "fail").map((one) => one.code), ["authentication"]);
    await assert.rejects(wrong.sink.state({ db: "default", name: "x" }, signal), { code: "authentication" });
    assert.ok(!JSON.stringify(lines).includes("nonsense"));
    assert.deepEqual(wrong.states, []);
    await using none = open(address, { token: undefined });
    await assert.rejects(none.sink.state({ db: "default", name: "x" }, signal), { code: "authentication" });
  });

  await t.step("reads a token that comes from a file again where the target refuses it", async () => {
    const file = await Deno.makeTempFile();
    await Deno.writeTextFile(file, "root:rotated");
    await using opened = open(address, { token: undefined, token_file: file });
    const ask = () => opened.sink.identity({ db: "default", name: "x" }, signal);
    await assert.rejects(ask(), { code: "authentication" });
    await Deno.writeTextFile(file, "root:Milvus\n");
    assert.equal(await ask(), undefined);
    await Deno.remove(file);
  });

  await t.step("checks a good login", async () => {
    await using good = open(address);
    const lines = await good.sink.check(signal);
    assert.deepEqual(lines.filter((one) => one.ok !== "ok"), []);
  });

  await t.step("carries roles, grants and users that can log in, and takes them away again", async () => {
    const passwords = await Deno.makeTempFile();
    await Deno.writeTextFile(passwords, JSON.stringify({ alice: "Wonderland9" }));
    await using opened = open(address, { rbac: true, rbac_passwords_file: passwords });
    const { sink } = opened;
    const made = new Set<string>();
    const whose = { made: (thing: Thing) => made.has(thingText(thing)) };
    const notes = ({ makes = [] }: DdlStep) => {
      for (const thing of makes) made.add(thingText(thing));
      return "apply" as const;
    };
    const grant = { role: "reader", objectType: "Global", object: "*", dbName: "default", grantor: "root" };
    const full = catalog({
      roles: ["admin", "public", "reader"],
      grants: [
        { ...grant, privilege: "ShowCollections" },
        { ...grant, objectType: "Collection", object: "*", privilege: "Search" },
      ],
      users: [
        { name: "alice", passwordHash: "", roles: ["reader"] },
        { name: "bob", passwordHash: "", roles: [] },
        { name: "root", passwordHash: "", roles: [] },
      ],
    });
    const done = await sink.reconcileRbac(full, whose, notes, signal);
    assert.deepEqual(done.map((one) => [one.sentence, one.result]), [
      ["Create role reader", "applied"],
      ["Grant ShowCollections to role reader", "applied"],
      ["Grant Search on Collection default.* to role reader", "applied"],
      ["Create user alice", "applied"],
      ["Bind user alice to role reader", "applied"],
      ["Create user bob", "refused"],
    ]);
    const again = await sink.reconcileRbac(full, whose, notes, signal);
    assert.deepEqual(again.map((one) => one.sentence), ["Create user bob"]);
    await using alice = open(address, { token: "alice:Wonderland9" });
    const lines = await alice.sink.check(signal);
    const of = (what: string) => lines.filter((one) => one.what.endsWith(what));
    assert.deepEqual(of("login").map((one) => [one.ok, one.detail]), [["ok", "as alice"]]);
    assert.deepEqual(of("rights").map((one) => [one.ok, one.code]).slice(0, 1), [["fail", "authentication"]]);
    assert.match(of("rights")[0]!.detail, /does not permit this: PrivilegeListDatabases/);
    assert.match(of("databases")[0]!.detail, /alice may not create databases: .*PrivilegeCreateDatabase/);
    assert.match(await alice.sink.databasesRefused!(signal) ?? "", /does not permit this: PrivilegeCreateDatabase/);
    assert.equal(await sink.databasesRefused!(signal), undefined, "who may is only told that it has no name");
    const gone = await sink.reconcileRbac(catalog({}), whose, notes, signal);
    assert.deepEqual(
      gone.map((one) => [one.sentence, one.result]),
      [
        ["Drop user alice", "applied"],
        ["Revoke ShowCollections to role reader", "applied"],
        ["Revoke Search on Collection default.* to role reader", "applied"],
        ["Drop role reader", "applied"],
      ].toSorted((a, b) =>
        gone.findIndex((one) => one.sentence === a[0]) - gone.findIndex((one) => one.sentence === b[0])
      ),
    );
    await Deno.remove(passwords);
  });

  await t.step("waits where the target limits the rate, says so, and loses nothing", async () => {
    await using opened = open(address);
    const { sink, states } = opened;
    const want = await made(sink, named({ db: "default", name: "limited" }, { load: LOADED }));
    const batches = range(0n, 6n).map((i) =>
      range(i * 1_000n, (i + 1n) * 1_000n).map((id) => ({ id, text: String(id).padEnd(150, "y") }))
    );
    await Promise.all(
      batches.map((rows, i) => sink.write(write(want, i % 2 === 0 ? "insert" : "upsert", rows), signal)),
    );
    assert.ok(states.some((one) => one.kind === "waiting" && /slow down/.test(one.reason)), "it was never limited");
    assert.deepEqual(states.at(-1), { kind: "ok" });
    assert.equal(await sink.count(want.target, undefined, signal), 6_000n);
    await sink.dropCollection(want.target, signal);
  });

  await t.step("stops waiting when its signal fires", async () => {
    await using opened = open(address);
    stack.pause("target");
    try {
      const controller = new AbortController();
      const waiting = opened.sink.state({ db: "default", name: "x" }, controller.signal);
      setTimeout(() => controller.abort(), 300);
      await assert.rejects(waiting, { code: "aborted" });
    } finally {
      stack.resume("target");
    }
  });

  for (const trouble of ["pause", "kill"] as const) {
    await t.step(`writes every row once while the target goes away (${trouble})`, async () => {
      await using opened = open(address);
      const { sink, states } = opened;
      const want = await made(sink, named({ db: "default", name: `away_${trouble}` }, { load: LOADED }));
      await sink.write(write(want, "insert", items(0n, 100n, "a")), signal);
      let next = 100n;
      let stop = false;
      const writing = (async () => {
        while (!stop) {
          const from = next;
          next += 50n;
          await sink.write(write(want, "insert", items(from, from + 50n, "a")), signal);
        }
      })();
      await eventually("rows are written", () => next > 400n);
      if (trouble === "pause") stack.pause("target");
      else await stack.kill("target");
      await eventually("the sink says that it waits", () => states.some((one) => one.kind === "waiting"));
      if (trouble === "pause") stack.resume("target");
      else await stack.start("target");
      const before = next;
      await eventually("rows are written again", () => next > before + 200n);
      stop = true;
      await writing;
      assert.ok(states.some((one) => one.kind === "waiting"));
      await loaded(sink, want.target);
      const rows = await readAll(sink, want, { outputFields: ["id"] });
      assert.equal(rows.length, parseInt(next.toString()), "rows are missing");
      assert.equal(await sink.count(want.target, undefined, signal), next, "a row is there twice");
      await sink.remove(removal(want, range(0n, 10n)), signal);
      assert.equal(await sink.count(want.target, undefined, signal), next - 10n);
      await sink.dropCollection(want.target, signal);
    });
  }

  await t.step("fails a check of a target that is not there, without waiting", async () => {
    await using opened = open(address);
    await stack.kill("target");
    const lines = await opened.sink.check(signal);
    assert.deepEqual(lines.map((one) => [one.ok, one.code]), [["fail", "unreachable"]]);
  });
});
