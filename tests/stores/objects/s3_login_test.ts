import assert from "node:assert/strict";
import type { ObjectStore } from "../../../pipeline/model/mod.ts";
import { objectStoreSpec, openObjectStore } from "../../../stores/mod.ts";
import { FakeAws } from "./fake_aws.ts";

const ROLE = "arn:aws:iam::123456789012:role/backup";

async function open(aws: FakeAws, role: object, config: object): Promise<ObjectStore> {
  const assume_role = { role_arn: ROLE, sts_endpoint: aws.endpoint, ...role };
  const whole = { type: "s3", endpoint: aws.endpoint, bucket: "b", assume_role, ...config };
  return await openObjectStore(objectStoreSpec.parse(whole), { retry: false });
}

const MASTER = { access_key_id: "MASTER", secret_access_key: "master-secret" };
const read = async (store: ObjectStore) => new TextDecoder().decode(await store.get("k"));

Deno.test("openObjectStore takes a role with the keys that it is given, once for many requests", async () => {
  await using aws = new FakeAws();
  const store = await open(aws, { external_id: "contract-7", session_name: "night", duration: "2h" }, MASTER);
  for (let i = 0; i < 4; i++) assert.equal(await read(store), "hello");
  assert.equal(aws.refusals, 0);
  assert.equal(aws.asked.length, 1);
  const [asked] = aws.asked;
  const expected = {
    Action: "AssumeRole",
    RoleArn: ROLE,
    ExternalId: "contract-7",
    RoleSessionName: "night",
    DurationSeconds: "7200",
    by: "MASTER",
  };
  for (const [name, value] of Object.entries(expected)) assert.equal(asked!.get(name), value, name);
  await store.close();
});

Deno.test("openObjectStore renews a role's keys before they end", async () => {
  await using aws = new FakeAws();
  // Less than the client keeps in reserve: keys that are about to end are replaced before they are used again.
  aws.validMs = 60_000;
  const store = await open(aws, {}, MASTER);
  assert.equal(await read(store), "hello");
  assert.equal(await read(store), "hello");
  assert.equal(aws.refusals, 0);
  assert.ok(aws.asked.length >= 2, `${aws.asked.length} requests to STS`);
  await store.close();
});

Deno.test("openObjectStore asks for a role's keys again where they are refused before their time", async () => {
  await using aws = new FakeAws();
  const store = await open(aws, {}, MASTER);
  await read(store);
  aws.withdraw();
  assert.deepEqual(await Promise.all([read(store), read(store)]), ["hello", "hello"]);
  assert.ok(aws.refusals >= 1);
  const before = aws.refusals;
  assert.equal(await read(store), "hello");
  assert.equal(aws.refusals, before);
  await store.close();
});

Deno.test("openObjectStore goes on with a large upload whose keys end in its middle", async () => {
  await using aws = new FakeAws();
  const store = await open(aws, {}, MASTER);
  aws.endAt = 3;
  const mebibyte = 1024 ** 2;
  const body = async function* () {
    for (let i = 0; i < 100; i++) yield new Uint8Array(mebibyte).fill(i);
  };
  const info = await store.put("big", body());
  assert.equal(info.size, BigInt(100 * mebibyte));
  assert.ok(aws.refusals >= 1);
  const parts = [...aws.parts].sort(([a], [b]) => a - b).map(([, bytes]) => bytes);
  assert.equal(parts.reduce((sum, bytes) => sum + bytes.length, 0), 100 * mebibyte);
  let at = 0;
  for (const bytes of parts) {
    for (let offset = 0; offset < bytes.length; offset += mebibyte) assert.equal(bytes[offset], at++);
  }
  await store.close();
});

Deno.test("openObjectStore takes a role with a web identity, whose token is read at every renewal", async () => {
  await using aws = new FakeAws();
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(file, "pod-1");
    const store = await open(aws, { web_identity_token_file: file }, {});
    assert.equal(await read(store), "hello");
    await Deno.writeTextFile(file, "pod-2");
    aws.withdraw();
    assert.equal(await read(store), "hello");
    assert.deepEqual(aws.asked.map((asked) => [asked.get("Action"), asked.get("WebIdentityToken")]), [
      ["AssumeRoleWithWebIdentity", "pod-1"],
      ["AssumeRoleWithWebIdentity", "pod-2"],
    ]);
    await store.close();
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("objectStoreSpec wants one source of keys for a role", () => {
  const problems = (config: object) => {
    const parsed = objectStoreSpec.safeParse({ type: "s3", bucket: "b", ...config });
    return parsed.success ? [] : parsed.error.issues.map(({ message }) => message);
  };
  const role = { role_arn: ROLE };
  assert.deepEqual(problems({ profile: "p", assume_role: { ...role, external_id: "e" } }), []);
  assert.deepEqual(problems({ profile: "p", ...MASTER }), ["profile and access_key_id exclude each other"]);
  assert.deepEqual(problems({ ...MASTER, assume_role: { ...role, web_identity_token_file: "/t" } }), [
    "A web identity needs neither keys nor a profile",
  ]);
  assert.deepEqual(problems({ assume_role: { ...role, web_identity_token_file: "/t", external_id: "e" } }), [
    "A web identity is asked for no external_id",
  ]);
  assert.deepEqual(problems({ assume_role: { ...role, duration: "1m" } }), ["expected at least 15m"]);
});
