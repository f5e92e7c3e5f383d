import assert from "node:assert/strict";
import { createAccess } from "../../../../control/server/access.ts";
import { checkCdcSources } from "../../../../control/server/cdc/mod.ts";
import { CdcFailure } from "../../../../control/server/cdc/failure.ts";
import { formatJson } from "../../../../pipeline/json.ts";
import { eventually } from "../../../stack/eventually.ts";
import { cdcRig, tokenOf } from "./rig.ts";

const target = { uri: "http://target:19530", token: "root:secret-of-the-target" };
const create = (more: object = {}) => ({ milvus_connect_param: target, collection_infos: [{ name: "*" }], ...more });

Deno.test("CdcService answers errors with a code in the body, a sentence and no data, as milvus-cdc does", async () => {
  await using rig = await cdcRig();
  const refused = async (type: string, data: unknown, code: number, message: RegExp) => {
    const answer = await rig.ask(type, data);
    assert.equal(answer.code, code, answer.message);
    assert.match(answer.message!, message);
    assert.ok(!("data" in answer));
  };
  await refused("foo", {}, 400, /^invalid 'request_type' param, can be set \[create delete /);
  await refused("create", { buffer_config: 10001 }, 500, /^fail to decode the create request, error: 'buffer_config'/);
  await refused("get", { task_id: "" }, 400, /^fail to handle the get request, error: task_id is empty$/);
  await refused("get", { task_id: "x" }, 400, /error: not found: \[x\]$/);
  for (const type of ["pause", "resume", "delete"]) {
    await refused(
      type,
      { task_id: "x" },
      400,
      new RegExp(`the ${type} request, error: not found the task, task_id: x$`),
    );
  }
  assert.deepEqual(await rig.ask("delete", { task_id: "x", ignore_not_found: true }), { code: 200, data: {} });
  assert.deepEqual((await rig.ask("position", { task_id: "x" })).data.positions, []);
  const broken = await (await rig.send("fooooo")).json();
  assert.equal(broken.code, 500);
  assert.match(broken.message, /^fail to unmarshal the request, error: /);
});

Deno.test("CdcService makes the same task once, by the id that the script chose, whatever it is called", async () => {
  await using rig = await cdcRig();
  for (const id of ["my_task", "Übung 7/Ä"]) {
    const request = create({ task_id: id, milvus_connect_param: { ...target, uri: `http://${id.length}:19530` } });
    assert.deepEqual(await rig.ask("create", request), { code: 200, data: { task_id: id } });
    assert.deepEqual(await rig.ask("create", request), { code: 200, data: { task_id: id } });
    assert.equal((await rig.ask("get", { task_id: id })).data.task.task_id, id);
  }
  assert.equal((await rig.ask("list")).data.tasks.length, 2);
  assert.deepEqual(rig.tasks.list().map(({ record }) => record.name)[0], "my_task");
  const twice = await Promise.all([1, 2, 3].map(() => rig.ask("create", { ...create({ task_id: "at-once" }) })));
  assert.deepEqual(twice.map(({ data }) => data?.task_id), ["at-once", "at-once", "at-once"]);
  assert.equal((await rig.ask("list")).data.tasks.length, 3);
});

Deno.test("CdcService refuses a second pause and a second resume, and goes on with the task all the same", async () => {
  await using rig = await cdcRig();
  const { task_id } = (await rig.ask("create", create())).data;
  const running = await rig.ask("resume", { task_id });
  assert.deepEqual([running.code, running.message], [
    400,
    `fail to handle the resume request, error: the task has running, task_id: ${task_id}`,
  ]);
  for (let round = 0; round < 3; round++) {
    assert.equal((await rig.ask("pause", { task_id })).code, 200);
    assert.equal((await rig.ask("pause", { task_id })).code, 400);
    assert.equal((await rig.ask("resume", { task_id })).code, 200);
  }
  assert.equal((await rig.ask("get", { task_id })).data.task.state, "Running");
});

Deno.test("CdcService says why a task stands still: Running where it goes on by itself, Paused where somebody has to resume it", async () => {
  await using rig = await cdcRig();
  const { task_id } = (await rig.ask("create", create({ task_id: "one" }))).data;
  const shown = async () => {
    const { state, reason } = (await rig.ask("get", { task_id })).data.task;
    return [state, reason];
  };
  const collection = { db: "default", name: "a", target: "default.a", phase: "blocked", blockedReason: "No such type" };
  rig.say("one", { phase: "tail", collections: [collection] });
  assert.deepEqual(await shown(), ["Running", "default.a: No such type"]);
  rig.end("one", { code: 14, error: { code: "position_lost", message: "The log begins later", hint: undefined } });
  await eventually("it has failed", async () => (await shown())[0] === "Paused");
  assert.deepEqual(await shown(), ["Paused", "The log begins later"]);
  assert.equal((await rig.ask("resume", { task_id })).code, 200);
  assert.deepEqual(await shown(), ["Running", undefined]);
});

Deno.test("CdcService lets one task of a target have what another one has not", async () => {
  await using rig = await cdcRig({ cdc: "  max_tasks: 3\n" });
  const make = (name: string, more: object = {}) =>
    rig.ask("create", create({ collection_infos: [{ name }], ...more }));
  const orders = (await make("orders")).data.task_id;
  const rest = (await make("*")).data.task_id;
  assert.deepEqual(rig.tasks.get(rest).checked.config!.transforms.select.exclude, ["default.orders"]);
  const again = await make("orders");
  assert.deepEqual([again.code, again.message], [
    400,
    "fail to handle the create request, error: the collection name is duplicate with existing task, [default.orders]",
  ]);
  assert.equal((await make("items")).code, 400, "the rest has it");
  // What was left to a task that is gone may be taken up by another.
  await rig.ask("delete", { task_id: orders });
  assert.equal((await make("orders")).code, 200);
  assert.equal((await make("items", { milvus_connect_param: { uri: "http://other:19530" } })).code, 200);
  const full = await make("items", { milvus_connect_param: { uri: "http://third:19530" } });
  assert.deepEqual([full.code, full.message], [
    500,
    "fail to handle the create request, error: the task num has reach the limit, 3",
  ]);
});

Deno.test("CdcService maps names, and shows no secret of source or target", async () => {
  await using rig = await cdcRig();
  const request = create({
    collection_infos: undefined,
    db_collections: { sales: [{ name: "*" }] },
    name_mapping: [
      { source_db: "sales", target_db: "sales_dr", collection_mapping: { orders: "orders_copy" } },
      { source_db: "sales", target_db: "rest" },
    ],
  });
  const { task_id } = (await rig.ask("create", request)).data;
  assert.deepEqual(rig.tasks.get(task_id).checked.config!.transforms.route, [
    { from: "sales.orders", to: "sales_dr.orders_copy" },
    { from: "sales.*", to: "rest.*" },
  ]);
  const outside = create({ task_id: "b", name_mapping: [{ source_db: "sales", target_db: "x" }] });
  const refused = await rig.ask("create", { ...outside, milvus_connect_param: { uri: "http://other:1" } });
  assert.match(refused.message!, /the collection name in the name mapping is not in the collection info/);
  for (const type of ["list", "get", "position"]) {
    const { data } = await rig.ask(type, { task_id });
    assert.ok(!formatJson(data).includes("secret-of-the"));
  }
});

Deno.test("CdcService makes no task whose target does not answer, nor one that the server does not allow", async () => {
  await using rig = await cdcRig({
    server: "{ allowed_hosts: [127.0.0.1] }",
    reach: () => Promise.reject(new CdcFailure(500, "fail to connect the milvus: milvus 127.0.0.1:1: refused")),
  });
  const unreachable = await rig.ask("create", create({ milvus_connect_param: { uri: "http://127.0.0.1:1" } }));
  assert.deepEqual([unreachable.code, unreachable.message], [
    500,
    "fail to handle the create request, error: fail to connect the milvus: milvus 127.0.0.1:1: refused",
  ]);
  const elsewhere = await rig.ask("create", create({ milvus_connect_param: { uri: "http://203.0.113.9:19530" } }));
  assert.equal(elsewhere.code, 400);
  assert.match(elsewhere.message!, /203\.0\.113\.9 is not allowed/);
  assert.deepEqual((await rig.ask("list")).data.tasks, []);
});

Deno.test("Tasks asks the DNS at each start: a name that was allowed and leads elsewhere by now is not connected to", async () => {
  let address = "10.0.0.7";
  await using rig = await cdcRig({
    server: "{ allowed_hosts: ['target.inside', '10.0.0.0/8', '127.0.0.1'] }",
    resolve: () => Promise.resolve([address]),
  });
  await rig.ask("create", create({ task_id: "one", milvus_connect_param: { uri: "http://target.inside:19530" } }));
  await rig.ask("pause", { task_id: "one" });
  address = "169.254.169.254";
  await rig.ask("resume", { task_id: "one" });
  const { runner } = rig.tasks.get("one");
  await eventually("it was refused", () => runner.lastEnd !== undefined);
  assert.match(runner.lastEnd!.reason, /^target\.inside leads to 169\.254\.169\.254, which is not allowed/);
  assert.equal(runner.pid, undefined);
});

Deno.test("CdcService leaves tasks of the other API out of its lists, and does not touch them", async () => {
  await using rig = await cdcRig();
  const { task_id } = (await rig.ask("create", create({ task_id: "mine" }))).data;
  const config = rig.tasks.get(task_id).checked.plain as Record<string, unknown>;
  await rig.tasks.create(JSON.stringify({ ...config, pipeline: "other" }), { wanted: "running" });
  assert.deepEqual((await rig.ask("list")).data.tasks.map((task: { task_id: string }) => task.task_id), ["mine"]);
  assert.equal((await rig.ask("delete", { task_id: "other" })).code, 400);
  const taken = await rig.ask("create", create({ task_id: "other", milvus_connect_param: { uri: "http://x:1" } }));
  assert.deepEqual([taken.code, /There is a task other/.test(taken.message!)], [400, true]);
});

Deno.test("CdcService starts a task paused after a restart of the server where it was asked to", async () => {
  await using rig = await cdcRig();
  await rig.ask("create", create({ task_id: "quiet", disable_auto_start: true }));
  await rig.ask("create", create({ task_id: "other", milvus_connect_param: { uri: "http://other:19530" } }));
  assert.equal(rig.tasks.get("quiet").runner.state, "starting");
  await rig.tasks.close();
  const after = await rig.again();
  after.resumeAll();
  assert.deepEqual([after.get("quiet").record.wanted, after.get("other").record.wanted], ["paused", "running"]);
  assert.equal(after.get("quiet").record.cdc!.reason, "the task is disabled auto start");
});

Deno.test("CdcService sets the level of the log by maintenance, and prints no rows", async () => {
  await using rig = await cdcRig();
  const say = async (operation: string, params?: object) =>
    (await rig.ask("maintenance", { operation, params })).data.State;
  assert.equal(await say("set_log_level", { log_level: "warn" }), "set log level to warn");
  assert.deepEqual(rig.levels, ["warning"]);
  assert.equal(await say("set_log_level"), "log_level is required");
  assert.match(
    await say("set_log_level", { log_level: "loud" }),
    /^parse log level failed: unrecognized level: "loud"/,
  );
  assert.equal(await say("reset_log_msg", { count: 3, duration: 1 }), "unsupported operation: reset_log_msg");
});

Deno.test("POST /cdc wants the role of what it is asked, and no token of this machine where the file says so", async () => {
  const auth = '{ auth: { tokens: [ { name: a, role: read, sha256: "' + "0".repeat(64) + '" } ] } }';
  const bodies = {
    read: '{"request_type":"list"}',
    operate: '{"request_type":"pause","request_data":{"task_id":"x"}}',
    admin: '{"request_type":"maintenance","request_data":{"operation":"x"}}',
  };
  await using closed = await cdcRig({ server: auth });
  const roles = ["read", "operate", "admin"] as const;
  for (const [at, role] of roles.entries()) {
    const headers = { authorization: `Bearer ${tokenOf(role)}` };
    const statuses = await Promise.all(roles.map(async (need) => (await closed.send(bodies[need], headers)).status));
    assert.deepEqual(statuses, roles.map((_, need) => need <= at ? 200 : 403), role);
  }
  assert.equal((await closed.send(bodies.read)).status, 401);
  assert.equal((await closed.send("no json")).status, 401);

  await using open = await cdcRig({ server: auth, cdc: "  loopback_without_token: true\n" });
  assert.equal((await open.send(bodies.admin)).status, 200);
  assert.equal((await open.send(bodies.admin, {}, "::1")).status, 200);
  const outside: [Record<string, string>, string][] = [
    [{}, "10.0.0.7"],
    [{ "x-forwarded-for": "10.0.0.7" }, "127.0.0.1"],
    // A page whose name leads to this machine.
    [{ host: "evil.example:8444", origin: "http://evil.example:8444" }, "127.0.0.1"],
  ];
  for (const [headers, address] of outside) {
    assert.equal((await open.send(bodies.read, headers, address)).status, 401);
  }
  const page = await open.send(bodies.admin, { origin: "https://evil.example" });
  assert.equal(page.status, 403);
});

Deno.test("checkCdcSources says at the start what no task may name", async () => {
  const check = (sources: object, server: { hosts?: string[]; paths?: string[] } = {}) =>
    checkCdcSources({
      meta: { type: "etcd", endpoints: ["10.0.0.7:2379"] },
      log: { type: "kafka", brokers: ["10.0.0.8:9092"] },
      binlogs: { type: "file", path: "/files" },
      ...sources,
    }, {
      access: createAccess({ hosts: server.hosts, paths: server.paths ?? ["/files"] }),
      lookup: () => undefined,
    });
  await check({});
  await assert.rejects(check({}, { paths: [] }), /cdc\/sources\/binlogs\/path: The path \/files is not allowed/);
  await assert.rejects(check({}, { hosts: ["10.0.0.7"] }), /cdc\/sources\/log\/brokers\/0: 10.0.0.8 is not allowed/);
  const login = { type: "etcd", endpoints: ["10.0.0.7:2379"], username: "u", password_file: "/etc/secret" };
  await assert.rejects(check({ meta: login }), /cdc\/sources\/meta\/password_file/);
});
