/**
 * The examples of milvus-cdc's usage page and of its own test client, request by request: the bodies are theirs, the answers
 * what a script reads of them.
 */
import assert from "node:assert/strict";
import type { RequestType } from "../../../../control/server/cdc/request.ts";
import { cdcRig } from "./rig.ts";

/** doc/cdc-usage.md, "create request". */
const CREATE = `{
  "request_type":"create",
  "request_data":{
    "milvus_connect_param":{
      "uri":"http://localhost:19530",
      "token":"root:Milvus",
      "connect_timeout":10
    },
    "collection_infos":[
      {
        "name":"*"
      }
    ]
  }
}`;

const CREATE_TLS = (dial: string) =>
  `{
  "request_type":"create",
  "request_data":{
    "milvus_connect_param":{
      "uri":"https://localhost:19530",
      "token":"root:Milvus",
      "connect_timeout":10,
      "dial_config": {
        "server_name": "localhost",
        ${dial}
      }
    },
    "collection_infos":[
      {
        "name":"*"
      }
    ]
  }
}`;

const about = (type: RequestType, id: string) =>
  `{
  "request_type":"${type}",
  "request_data": {
    "task_id": "${id}"
  }
}`;

Deno.test("POST /cdc answers create, list, get, pause, resume and delete as the usage page says", async () => {
  await using rig = await cdcRig();
  const send = async (body: string) => {
    const response = await rig.send(body);
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("content-type"), "application/json");
    return await response.json();
  };
  const created = await send(CREATE);
  assert.equal(created.code, 200);
  const id = created.data.task_id;
  assert.match(id, /^[0-9a-f]{32}$/);

  const { config } = rig.tasks.get(id).checked;
  assert.deepEqual(config!.transforms.select, { include: ["default.*"], exclude: [], allow_empty: true });
  const sink = config!.sinks.target as { type: "milvus"; address: string; token?: string; on_existing: string };
  assert.deepEqual([sink.address, sink.token, sink.on_existing], ["http://localhost:19530", "root:Milvus", "fail"]);
  const { meta, log, binlogs } = config!.sources;
  assert.deepEqual([meta!.type, log!.type, binlogs!.type], ["etcd", "kafka", "s3"]);

  const task = {
    task_id: id,
    milvus_connect_param: {
      host: "",
      port: 0,
      enable_tls: false,
      uri: "http://localhost:19530",
      dial_config: {},
      channel_num: 0,
      ignore_partition: false,
      connect_timeout: 10,
    },
    kafka_connect_param: { address: "", topic: "", enable_sasl: false, sasl: {} },
    collection_infos: [{ name: "*", positions: null, use_start_position: false }],
    db_collections: null,
    state: "Running",
  };
  assert.deepEqual(await send('{ "request_type":"list" }'), { code: 200, data: { tasks: [task] } });
  assert.deepEqual(await send(about("get", id)), { code: 200, data: { task } });
  assert.deepEqual(await send(about("pause", id)), { code: 200, data: {} });
  const paused = { ...task, state: "Paused", reason: "manually pause through http interface" };
  assert.deepEqual(await send(about("get", id)), { code: 200, data: { task: paused } });
  assert.equal(rig.tasks.get(id).record.wanted, "paused");
  assert.deepEqual(await send(about("resume", id)), { code: 200, data: {} });
  assert.deepEqual(await send(about("get", id)), { code: 200, data: { task } });
  assert.deepEqual(await send(about("delete", id)), { code: 200, data: {} });
  assert.deepEqual(await send('{ "request_type":"list" }'), { code: 200, data: { tasks: [] } });
});

Deno.test("POST /cdc takes the certificates of the usage page, where the server allows their folder", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await using rig = await cdcRig({ server: `{ allowed_paths: ["${folder}"] }` });
    const one = await (await rig.send(CREATE_TLS(`"server_pem_path": "${folder}/server.pem"`))).json();
    const sinkOf = (id: string) => rig.tasks.get(id).checked.config!.sinks.target as { address: string; tls?: unknown };
    const insecure_skip_verify = false;
    assert.deepEqual(sinkOf(one.data.task_id).tls, {
      ca_file: `${folder}/server.pem`,
      server_name: "localhost",
      insecure_skip_verify,
    });
    await rig.ask("delete", { task_id: one.data.task_id });
    const paths = ["ca_pem_path", "client_pem_path", "client_key_path"];
    const two = await (await rig.send(CREATE_TLS(paths.map((path) => `"${path}": "${folder}/${path}"`).join()))).json();
    assert.deepEqual(sinkOf(two.data.task_id).tls, {
      ca_file: `${folder}/ca_pem_path`,
      cert_file: `${folder}/client_pem_path`,
      key_file: `${folder}/client_key_path`,
      server_name: "localhost",
      insecure_skip_verify,
    });
    await rig.ask("delete", { task_id: two.data.task_id });
    const elsewhere = await (await rig.send(CREATE_TLS('"server_pem_path": "/etc/ssl/server.pem"'))).json();
    assert.equal(elsewhere.code, 400);
    assert.match(elsewhere.message, /sinks\/target\/tls\/ca_file: The path \/etc\/ssl\/server.pem is not allowed/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("POST /cdc takes what milvus-cdc's own test client and deployment script send, which say no content type", async () => {
  await using rig = await cdcRig();
  const older = {
    milvus_connect_param: {
      host: "10.101.128.34",
      port: 19530,
      username: "root",
      password: "Milvus",
      enable_tls: false,
      ignore_partition: true,
      connect_timeout: 10,
    },
    collection_infos: [{ name: "hello_milvus_v4" }],
  };
  const first = await rig.send(
    JSON.stringify({ request_type: "create", request_data: older }),
    { "content-type": "" },
  );
  const { data } = await first.json();
  const { sinks, transforms } = rig.tasks.get(data.task_id).checked.config!;
  assert.deepEqual(transforms.select.include, ["default.hello_milvus_v4"]);
  const sink = sinks.target as { address: string; token?: string };
  assert.deepEqual([sink.address, sink.token], ["http://10.101.128.34:19530", "root:Milvus"]);
  const { task } = (await rig.ask("get", { task_id: data.task_id })).data;
  assert.equal(task.state, "Running");
  assert.equal(task.collection_infos[0].name, "hello_milvus_v4");
  assert.ok(!JSON.stringify(task).includes('Milvus"'), "neither user nor password");

  const everything = {
    milvus_connect_param: {
      uri: "http://127.0.0.1:19500",
      token: "root:Milvus",
      connect_timeout: 120,
      channel_num: 16,
    },
    extra_info: { enable_user_role: true },
    db_collections: { "*": [{ name: "*" }] },
  };
  const second = (await rig.ask("create", everything)).data.task_id;
  const made = rig.tasks.get(second).checked.config!;
  assert.deepEqual([made.transforms.select.include, made.transforms.rbac], [["*.*"], true]);
  const shown = (await rig.ask("get", { task_id: second })).data.task;
  assert.equal(shown.collection_infos, null);
  assert.deepEqual(shown.db_collections, { "*": [{ name: "*", positions: null, use_start_position: false }] });
  const all = (await rig.ask("list")).data.tasks;
  assert.deepEqual(all.map(({ task_id }: { task_id: string }) => task_id), [data.task_id, second]);
});
