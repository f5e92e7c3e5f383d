import assert from "node:assert/strict";
import type { ObjectStore } from "../../../pipeline/model/mod.ts";
import { objectStoreSpec, openObjectStore } from "../../../stores/mod.ts";

/** STS, and a bucket for those who have the newest keys that it gave. */
class Aws implements AsyncDisposable {
  /** Every request to STS, as its parameters. */
  readonly asked: URLSearchParams[] = [];
  refusals = 0;
  /** For how long keys are given. */
  validMs = 3_600_000;
  /** Parts that the bucket has; the one with this number is refused once, as if the keys had ended just then. */
  readonly parts = new Map<number, Uint8Array>();
  endAt: number | undefined;
  #given = 0;
  readonly #http = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    (request) => this.#answer(request),
  );

  get endpoint(): string {
    return `http://127.0.0.1:${this.#http.addr.port}`;
  }

  /** What was given is no longer valid. */
  withdraw(): void {
    this.#given++;
  }

  async #answer(request: Request): Promise<Response> {
    const url = new URL(request.url);
    const used = /Credential=([^/]+)\//.exec(request.headers.get("authorization") ?? "")?.[1] ?? "";
    if (url.pathname === "/" && request.method === "POST") {
      const asked = new URLSearchParams(await request.text());
      asked.set("by", used);
      this.asked.push(asked);
      return this.#keys(asked.get("Action")!);
    }
    const body = new Uint8Array(await request.arrayBuffer());
    const part = Number(url.searchParams.get("partNumber") ?? 0);
    if (part !== 0 && part === this.endAt) {
      this.endAt = undefined;
      this.withdraw();
    }
    if (used !== `KEY${this.#given}`) {
      this.refusals++;
      return xml("<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>", 400);
    }
    assert.equal(request.headers.get("x-amz-security-token"), `token-${this.#given}`);
    if (url.searchParams.has("uploads")) {
      return xml("<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>");
    }
    if (part !== 0) {
      this.parts.set(part, body);
      return new Response("", { headers: { etag: `"${part}"` } });
    }
    if (url.searchParams.has("uploadId")) {
      return xml('<CompleteMultipartUploadResult><ETag>"whole"</ETag></CompleteMultipartUploadResult>');
    }
    return new Response("hello", { headers: { etag: '"e"' } });
  }

  #keys(action: string): Response {
    const given = ++this.#given;
    const until = new Date(Date.now() + this.validMs).toISOString();
    return xml(
      `<${action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><${action}Result><Credentials>` +
        `<AccessKeyId>KEY${given}</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>` +
        `<SessionToken>token-${given}</SessionToken><Expiration>${until}</Expiration>` +
        `</Credentials></${action}Result></${action}Response>`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#http.shutdown();
  }
}

function xml(text: string, status = 200): Response {
  return new Response(`<?xml version="1.0"?>${text}`, { status, headers: { "content-type": "application/xml" } });
}

const ROLE = "arn:aws:iam::123456789012:role/backup";

async function open(aws: Aws, role: object, config: object): Promise<ObjectStore> {
  const assume_role = { role_arn: ROLE, sts_endpoint: aws.endpoint, ...role };
  const whole = { type: "s3", endpoint: aws.endpoint, bucket: "b", assume_role, ...config };
  return await openObjectStore(objectStoreSpec.parse(whole), { retry: false });
}

const MASTER = { access_key_id: "MASTER", secret_access_key: "master-secret" };
const read = async (store: ObjectStore) => new TextDecoder().decode(await store.get("k"));

Deno.test("openObjectStore takes a role with the keys that it is given, once for many requests", async () => {
  await using aws = new Aws();
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
  await using aws = new Aws();
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
  await using aws = new Aws();
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
  await using aws = new Aws();
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
  await using aws = new Aws();
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
