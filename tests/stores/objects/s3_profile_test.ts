/** Keys of AWS' own files: what a profile holds, and what it takes from another. */
import assert from "node:assert/strict";
import type { ObjectStore } from "../../../pipeline/model/mod.ts";
import { objectStoreSpec, openObjectStore } from "../../../stores/mod.ts";
import { FakeAws } from "./fake_aws.ts";

const CONFIG = `
[default]
region = eu-west-1

[profile backup]
role_arn = arn:aws:iam::123456789012:role/backup
source_profile = base
external_id = contract-7
role_session_name = night

[profile lost]
role_arn = arn:aws:iam::123456789012:role/backup
source_profile = nobody
`;
const keysOf = (profiles: Readonly<Record<string, string>>) =>
  Object.entries(profiles).map(([name, key]) =>
    `[${name}]\naws_access_key_id = ${key}\naws_secret_access_key = ${key}-secret\n`
  ).join("\n");

interface Files {
  readonly aws: FakeAws;
  open(config: object): Promise<ObjectStore>;
  /** Writes the file of credentials anew. */
  keys(profiles: Readonly<Record<string, string>>): Promise<void>;
}

/** With a home of AWS' files of its own, and nothing else of AWS in the environment. */
async function withFiles(body: (files: Files) => Promise<void>, more: Readonly<Record<string, string>> = {}) {
  await using aws = new FakeAws();
  const dir = await Deno.makeTempDir();
  const env: Record<string, string> = {
    AWS_CONFIG_FILE: `${dir}/config`,
    AWS_SHARED_CREDENTIALS_FILE: `${dir}/credentials`,
    AWS_ENDPOINT_URL_STS: aws.endpoint,
    AWS_EC2_METADATA_DISABLED: "true",
    ...more,
  };
  const before = Object.entries(Deno.env.toObject()).filter(([name]) => name.startsWith("AWS_"));
  for (const [name] of before) Deno.env.delete(name);
  for (const [name, value] of Object.entries(env)) Deno.env.set(name, value);
  const stores: ObjectStore[] = [];
  try {
    await Deno.writeTextFile(`${dir}/config`, CONFIG);
    await body({
      aws,
      async open(config) {
        const whole = { type: "s3", endpoint: aws.endpoint, bucket: "b", ...config };
        const store = await openObjectStore(objectStoreSpec.parse(whole), { retry: false });
        stores.push(store);
        return store;
      },
      keys: (profiles) => Deno.writeTextFile(`${dir}/credentials`, keysOf(profiles)),
    });
  } finally {
    for (const store of stores) await store.close();
    for (const name of Object.keys(env)) Deno.env.delete(name);
    for (const [name, value] of before) Deno.env.set(name, value);
    await Deno.remove(dir, { recursive: true });
  }
}

const read = async (store: ObjectStore) => new TextDecoder().decode(await store.get("k"));

Deno.test("openObjectStore takes the keys of a profile, and those that its file has by then where the first are refused", async () => {
  await withFiles(async ({ aws, open, keys }) => {
    await keys({ default: "WRONG", base: "FIRST" });
    aws.known = "FIRST";
    const store = await open({ profile: "base" });
    assert.equal(await read(store), "hello");
    await keys({ default: "WRONG", base: "SECOND" });
    assert.equal(await read(store), "hello", "they are good still");
    assert.equal(aws.refusals, 0);
    aws.known = "SECOND";
    assert.deepEqual(await Promise.all([read(store), read(store)]), ["hello", "hello"]);
    const before = aws.refusals;
    assert.ok(before >= 1);
    assert.equal(await read(store), "hello");
    assert.equal(aws.refusals, before);
    assert.deepEqual(aws.asked, []);
  });
});

Deno.test("openObjectStore takes the role of a profile with the keys of its source_profile and its external_id, and renews it", async () => {
  await withFiles(async ({ aws, open, keys }) => {
    await keys({ base: "BASE" });
    const store = await open({ profile: "backup" });
    for (let i = 0; i < 3; i++) assert.equal(await read(store), "hello");
    const shown = () =>
      aws.asked.map((asked) =>
        ["Action", "RoleArn", "ExternalId", "RoleSessionName", "by"].map((name) => asked.get(name))
      );
    const expected = ["AssumeRole", "arn:aws:iam::123456789012:role/backup", "contract-7", "night"];
    assert.deepEqual(shown(), [[...expected, "BASE"]]);
    // Withdrawn before its time; and the keys behind it are others by then.
    await keys({ base: "OTHER" });
    aws.withdraw();
    assert.equal(await read(store), "hello");
    assert.deepEqual(shown(), [[...expected, "BASE"], [...expected, "OTHER"]]);
  });
});

Deno.test("openObjectStore takes a role with the keys of a profile, which may be those of another role", async () => {
  await withFiles(async ({ aws, open, keys }) => {
    await keys({ base: "BASE" });
    const assume_role = { role_arn: "arn:aws:iam::2:role/vault", external_id: "outer", sts_endpoint: aws.endpoint };
    assert.equal(await read(await open({ profile: "backup", assume_role })), "hello");
    assert.deepEqual(aws.asked.map((asked) => [asked.get("RoleArn"), asked.get("ExternalId"), asked.get("by")]), [
      ["arn:aws:iam::123456789012:role/backup", "contract-7", "BASE"],
      ["arn:aws:iam::2:role/vault", "outer", "KEY1"],
    ]);
  });
});

Deno.test("openObjectStore without keys goes by AWS_PROFILE", async () => {
  await withFiles(async ({ aws, open, keys }) => {
    await keys({ base: "BASE", other: "OTHER" });
    aws.known = "OTHER";
    assert.equal(await read(await open({})), "hello");
  }, { AWS_PROFILE: "other" });
});

Deno.test("openObjectStore says that it found no keys, and where they are looked for, instead of that they are refused", async () => {
  await withFiles(async ({ aws, open, keys }) => {
    await keys({ base: "BASE" });
    for (const profile of ["no-such", "lost", undefined]) {
      const store = await open(profile === undefined ? {} : { profile });
      await assert.rejects(store.get("k"), {
        code: "authentication",
        message: /^Found no keys for http:.*\(bucket b, key k\): .*(no-such|nobody|any providers)/,
        hint: /access_key_id, profile or assume_role/,
      });
    }
    assert.equal(aws.refusals, 0);
  });
});
