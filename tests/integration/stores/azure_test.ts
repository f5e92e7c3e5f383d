import assert from "node:assert/strict";
import { AccountSASPermissions, BlobServiceClient, StorageSharedKeyCredential } from "@azure/storage-blob";
import { createMemoryStore, objectStoreSpec, openObjectStore } from "../../../stores/mod.ts";
import { type AzureStoreOptions, createAzureStore } from "../../../stores/objects/azure.ts";
import { assertChecksWell, serverConformance } from "../../conformance/objects.ts";
import { AZURITE_ACCOUNT, AZURITE_KEY, startAzurite } from "../../stack/azurite.ts";

const OTHER = { account: "otheraccount", key: btoa("another key of sixteen or more bytes") };
const server = await startAzurite({ accounts: { [OTHER.account]: OTHER.key } });
Deno.test.afterAll(async () => await server[Symbol.asyncDispose]());

const key = { kind: "key", account: AZURITE_ACCOUNT, key: AZURITE_KEY } as const;

function options(container: string, changes: Partial<AzureStoreOptions> = {}): AzureStoreOptions {
  return {
    endpoint: server.endpoint,
    container,
    prefix: "",
    login: key,
    tls: { ca: undefined, insecure: false },
    maxConcurrency: 16,
    ...changes,
  };
}

function service(account: string, secret: string): BlobServiceClient {
  return new BlobServiceClient(`${server.origin}/${account}`, new StorageSharedKeyCredential(account, secret));
}

/** A container of its own; all data go with the server. */
async function newContainer(account: string = AZURITE_ACCOUNT, secret: string = AZURITE_KEY): Promise<string> {
  const name = `objects-${crypto.randomUUID().slice(0, 8)}`;
  await service(account, secret).createContainer(name);
  return name;
}

serverConformance(
  "azure",
  async (prefix) => createAzureStore(options(await newContainer(), { prefix, listPage: 40 })),
);

Deno.test("createAzureStore copies on the server from another account, and from a store with a signature of its own", async () => {
  const bytes = new Uint8Array(300_000).map((_, i) => i * 7);
  const source = createAzureStore(options(await newContainer(OTHER.account, OTHER.key), {
    endpoint: `${server.origin}/${OTHER.account}`,
    login: { kind: "key", ...OTHER },
  }));
  await source.put("a/b", bytes);
  const target = createAzureStore(options(await newContainer()));
  assert(await target.copyFrom(source, "a/b", "copy"));
  assert.deepEqual(await target.get("copy"), bytes);
  await assert.rejects(target.copyFrom(source, "nope", "copy"), { code: "not_found", message: /nope/ });

  const signed = createAzureStore(options(await newContainer(), { login: sasLogin("rcwdl") }));
  assert(await signed.copyFrom(target, "copy", "again"));
  assert(await target.copyFrom(signed, "again", "back"));
  assert.deepEqual(await target.get("back"), bytes);
  assert.equal(await target.copyFrom(createMemoryStore(), "x", "y"), undefined);
  for (const store of [source, target, signed]) await store.close();
});

function sasLogin(permissions: string) {
  const account = service(AZURITE_ACCOUNT, AZURITE_KEY);
  const url = account.generateAccountSasUrl(
    new Date(Date.now() + 3_600_000),
    AccountSASPermissions.parse(permissions),
    "sco",
  );
  return { kind: "sas", token: new URL(url).search } as const;
}

Deno.test("createAzureStore with a signature may do what the signature says, and no more", async () => {
  const container = await newContainer();
  const owner = createAzureStore(options(container));
  await owner.put("k", new Uint8Array([1, 2, 3]));
  // What a source needs: read and list.
  const reader = createAzureStore(options(container, { login: sasLogin("rl") }));
  assert.deepEqual(await reader.get("k"), new Uint8Array([1, 2, 3]));
  assert.equal((await Array.fromAsync(reader.list(""))).length, 1);
  const refused = { code: "authentication", message: /refused the login: Authorization/ };
  await assert.rejects(reader.put("l", new Uint8Array([1])), refused);
  await assert.rejects(reader.delete(["k"]), refused);
  assert.deepEqual(await owner.get("k"), new Uint8Array([1, 2, 3]));
  await owner.close();
  await reader.close();
});

Deno.test("openObjectStore opens a container by connection string, key, signature and their files", async () => {
  const container = await newContainer();
  const dir = await Deno.makeTempDir();
  try {
    const text = `DefaultEndpointsProtocol=http;AccountName=${AZURITE_ACCOUNT};AccountKey=${AZURITE_KEY};` +
      `BlobEndpoint=${server.endpoint};`;
    await Deno.writeTextFile(`${dir}/text`, `${text}\n`);
    await Deno.writeTextFile(`${dir}/key`, `${AZURITE_KEY}\n`);
    const named = { account: AZURITE_ACCOUNT, endpoint: server.endpoint };
    const logins = [
      { connection_string: text },
      { connection_string_file: `${dir}/text` },
      { ...named, account_key: AZURITE_KEY },
      { ...named, account_key_file: `${dir}/key` },
      { endpoint: server.endpoint, sas_token: sasLogin("rcwdl").token },
    ];
    for (const [index, login] of logins.entries()) {
      const config = objectStoreSpec.parse({ type: "azure", container, prefix: "p", ...login });
      const store = await openObjectStore(config);
      await store.put(`k${index}`, new Uint8Array([index]));
      assert.equal((await Array.fromAsync(store.list(""))).length, index + 1);
      assert.equal(store.location, `azure://${container}/p@${server.endpoint}`);
      await store.close();
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("openObjectStore reads an account's key from its file again when the service refuses it", async () => {
  const container = await newContainer();
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(file, btoa("the key of yesterday"));
    const config = { type: "azure", container, account: AZURITE_ACCOUNT, endpoint: server.endpoint };
    const store = await openObjectStore(objectStoreSpec.parse({ ...config, account_key_file: file }));
    await assert.rejects(store.put("k", new Uint8Array([1])), { code: "authentication" });
    await Deno.writeTextFile(file, AZURITE_KEY);
    await Promise.all(["a", "b", "c"].map((name) => store.put(name, new Uint8Array([1]))));
    assert.equal((await Array.fromAsync(store.list(""))).length, 3);
    await store.close();
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("createAzureStore names the containers that exist when its own does not", async () => {
  const there = await newContainer();
  const store = createAzureStore(options("no-such-container"));
  const expected = {
    code: "not_found",
    message: new RegExp(`No container no-such-container at .*there are: .*${there}`),
  };
  await assert.rejects(Array.fromAsync(store.list("")), expected);
  await assert.rejects(store.head("x"), expected);
  await assert.rejects(store.get("x"), expected);
  await assert.rejects(store.put("x", new Uint8Array([1])), expected);
  await store.close();
});

Deno.test("createAzureStore tells a wrong key from an unreachable server, without showing it", async () => {
  const secret = btoa("topsecret-do-not-print");
  const container = await newContainer();
  const store = createAzureStore(options(container, { login: { ...key, key: secret } }));
  for (const call of [store.get("x"), Array.fromAsync(store.list("")), store.put("x", new Uint8Array([1]))]) {
    const error = await call.then(() => assert.fail("It was let in"), (thrown) => thrown);
    assert.equal(error.code, "authentication", String(error));
    assert.ok(!Deno.inspect(error, { depth: 20 }).includes(secret));
  }
  await store.close();
  const away = createAzureStore(options(container, { endpoint: `http://127.0.0.1:9/${AZURITE_ACCOUNT}` }));
  await assert.rejects(away.head("x"), { code: "unreachable", message: /Cannot reach http:\/\/127.0.0.1:9/ });
  await assert.rejects(Array.fromAsync(away.list("")), { code: "unreachable" });
  await assert.rejects(away.put("x", new Uint8Array([1])), { code: "unreachable" });
  await away.close();
});

Deno.test("createAzureStore keeps two streams of one key apart: one is kept whole, the other fails", async () => {
  const store = createAzureStore(options(await newContainer()));
  const size = 40 * 1024 ** 2;
  const body = async function* (value: number) {
    for (let sent = 0; sent < size; sent += 1024 ** 2) {
      yield new Uint8Array(1024 ** 2).fill(value);
      await Promise.resolve();
    }
  };
  const results = await Promise.allSettled([1, 2].map((value) => store.put("k", body(value), { ifAbsent: true })));
  const winners = results.flatMap((result, index) => result.status === "fulfilled" ? [index + 1] : []);
  assert.equal(winners.length, 1, Deno.inspect(results));
  const bytes = await store.get("k");
  assert.equal(bytes.length, size);
  assert.ok(bytes.every((byte) => byte === winners[0]), "blocks of both writers");
  const lost = results.find((result) => result.status === "rejected") as PromiseRejectedResult;
  assert.equal(lost.reason.code, "refused");
  await store.close();
});

Deno.test("checkWritable says what the service does by itself, and leaves nothing behind", async () => {
  await assertChecksWell(createAzureStore(options(await newContainer(), { prefix: "p" })));
});
