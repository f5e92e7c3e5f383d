import { privilegeName } from "../../../../sinks/milvus/reconcile/rbac.ts";
import assert from "node:assert/strict";
import { type Grant, type Rbac, type Thing, thingText } from "../../../../pipeline/model/mod.ts";
import { type ActualRbac, planRbac } from "../../../../sinks/milvus/plan/rbac.ts";
import { planDatabases, type WantedDatabase } from "../../../../sinks/milvus/reconcile/databases.ts";

const EMPTY: Rbac = { users: [], roles: [], grants: [], privilegeGroups: [] };
const BARE: ActualRbac = {
  users: new Map([["root", []]]),
  roles: ["admin", "public"],
  grants: [],
  privilegeGroups: new Map(),
};
const OPTIONS = { passwords: new Map<string, string>(), whose: { made: () => false }, mirror: false, self: undefined };
const madeAll = (...texts: string[]) => ({ made: (thing: Thing) => texts.includes(thingText(thing)) });
const grant = (role: string, privilege: string, object = "*"): Grant => ({
  role,
  objectType: "Collection",
  object,
  dbName: "default",
  privilege,
  grantor: "root",
});
const sentences = (steps: readonly { readonly sentence: string }[]) => steps.map((one) => one.sentence);

const FULL: Rbac = {
  users: [{ name: "alice", passwordHash: "x", roles: ["reader"] }, { name: "root", passwordHash: "x", roles: [] }],
  roles: ["admin", "public", "reader"],
  grants: [grant("reader", "Search"), grant("reader", "ops")],
  privilegeGroups: [{ name: "ops", privileges: ["Query"] }],
};

Deno.test("planRbac creates groups, roles, grants, users and bindings in this order", () => {
  const steps = planRbac(FULL, BARE, { ...OPTIONS, passwords: new Map([["alice", "secret"]]) });
  assert.deepEqual(sentences(steps), [
    "Create privilege group ops",
    "Add Query to privilege group ops",
    "Create role reader",
    "Grant Search on Collection default.* to role reader",
    "Grant ops on Collection default.* to role reader",
    "Create user alice",
    "Bind user alice to role reader",
  ]);
  assert.deepEqual(steps.map((one) => one.action.do === "grant" && one.action.v2).filter(Boolean).length, 1);
  assert.ok(!JSON.stringify(sentences(steps)).includes("secret"));
});

Deno.test("planRbac refuses a user without a password and says how to mend it", () => {
  const steps = planRbac(FULL, BARE, OPTIONS);
  const user = steps.find((one) => one.sentence === "Create user alice")!;
  assert.ok(user.action.do === "impossible");
  assert.match(user.action.reason, /rbac_passwords_file/);
  assert.ok(!sentences(steps).some((one) => one.startsWith("Bind")));
});

Deno.test("planRbac removes what disappeared from the source, and leaves what only the target has", () => {
  const actual: ActualRbac = {
    users: new Map([["root", []], ["alice", ["reader"]], ["local", ["keeper"]]]),
    roles: ["admin", "public", "reader", "keeper"],
    grants: [grant("reader", "Search"), grant("keeper", "Search")],
    privilegeGroups: new Map([["ops", ["Query"]]]),
  };
  const granted = ["reader", "Collection", "*", "default", "Search"];
  const whose = madeAll("user alice", "role reader", `grant ${JSON.stringify(granted)}`, "privilege_group ops");
  assert.deepEqual(sentences(planRbac(EMPTY, actual, { ...OPTIONS, whose })), [
    "Drop user alice",
    "Revoke Search on Collection default.* to role reader",
    "Drop role reader",
    "Drop privilege group ops",
  ]);
  assert.deepEqual(planRbac(EMPTY, actual, OPTIONS), []);
});

Deno.test("planRbac in mirror mode keeps root, the built-in roles and the user it works as", () => {
  const actual: ActualRbac = {
    ...BARE,
    users: new Map([["root", ["admin"]], ["mover", ["writer"]], ["local", []]]),
    roles: ["admin", "public", "writer"],
    grants: [grant("public", "DescribeCollection"), grant("writer", "Insert")],
  };
  const steps = planRbac(EMPTY, actual, { ...OPTIONS, mirror: true, self: "mover" });
  assert.deepEqual(sentences(steps), [
    "Drop user local",
    "Revoke Insert on Collection default.* to role writer",
    "Drop role writer",
  ]);
});

Deno.test("planDatabases creates, alters and drops, and leaves the default one", () => {
  const actual = new Map<string, Record<string, string> | undefined>([["default", {}], ["a", { x: "1", gone: "1" }], [
    "old",
    undefined,
  ]]);
  const steps = planDatabases(
    [{ name: "default", properties: {} }, { name: "a", properties: { x: "2" } }, { name: "b", properties: { y: "1" } }],
    ["old", "default", "missing"],
    actual,
    { made: () => true },
  );
  assert.deepEqual(steps.map((one) => [one.kind, one.sentence, one.destructive]), [
    ["alter_database", "Set x=2 on database a", false],
    ["alter_database", "Remove gone from database a", false],
    ["create_database", "Create database b", false],
    ["drop_database", "Drop database old", true],
  ]);
});

Deno.test("planDatabases sends no properties to a release whose databases have none, and says so", () => {
  const wanted: WantedDatabase[] = [{ name: "a", properties: { x: "2", y: "1" } }, {
    name: "b",
    properties: { y: "1" },
  }];
  const steps = planDatabases(wanted, [], new Map([["a", undefined]]), { made: () => true }, false);
  assert.deepEqual(steps.map(({ sentence, foreign, makes }) => [sentence, foreign?.fate, makes?.length]), [
    ["Set x=2, y=1 on database a", "left", undefined],
    ["Create database b", undefined, 1],
    ["Set y=1 on database b", "left", undefined],
  ]);
});

Deno.test("privilegeName turns the metadata's names into those of the API", () => {
  assert.equal(privilegeName("PrivilegeQuery"), "Query");
  assert.equal(privilegeName("PrivilegeGroupClusterReadOnly"), "ClusterReadOnly");
  assert.equal(privilegeName("Insert"), "Insert");
  assert.equal(privilegeName("*"), "*");
});
