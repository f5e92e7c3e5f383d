/** The same faults for every kind of store, by one proxy in front of its real server. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { AccountSASPermissions, BlobServiceClient, StorageSharedKeyCredential } from "@azure/storage-blob";
import type { ObjectStore } from "../../../pipeline/model/mod.ts";
import { collect, objectStoreSpec, openObjectStore } from "../../../stores/mod.ts";
import { AZURITE_ACCOUNT, AZURITE_KEY, startAzurite } from "../../stack/azurite.ts";
import { startFakeGcs } from "../../stack/fake_gcs.ts";
import { type Fault, type FaultProxy, startFaultProxy } from "../../stack/fault_proxy.ts";
import { startRcloneS3 } from "../../stack/rclone_s3.ts";
import { startVersitygw } from "../../stack/versitygw.ts";

interface Faulty extends AsyncDisposable {
  readonly store: ObjectStore;
  readonly proxy: FaultProxy;
  /** Whether a request carries a piece of a large upload; undefined where the emulator cannot go on after a lost one. */
  readonly isPart: ((request: Request) => boolean) | undefined;
}

async function faulty(
  server: AsyncDisposable,
  origin: string,
  config: (origin: string) => Record<string, unknown>,
  isPart: Faulty["isPart"],
): Promise<Faulty> {
  const proxy = startFaultProxy(origin);
  const spec = objectStoreSpec.parse(config(proxy.origin));
  const store = await openObjectStore(spec, { retry: { attempts: 12, sleep: () => Promise.resolve() } });
  return {
    store,
    proxy,
    isPart,
    async [Symbol.asyncDispose]() {
      await store.close();
      await proxy[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

const s3Part = (request: Request) => request.method === "PUT" && new URL(request.url).searchParams.has("partNumber");

const STORES: Readonly<Record<string, () => Promise<Faulty>>> = {
  async "s3 of versitygw"() {
    const server = await startVersitygw();
    await server.createBucket("bucket");
    const keys = { access_key_id: server.root.accessKeyId, secret_access_key: server.root.secretAccessKey };
    return await faulty(
      server,
      server.endpoint,
      (endpoint) => ({ type: "s3", endpoint, bucket: "bucket", ...keys }),
      s3Part,
    );
  },
  async "s3 of rclone"() {
    const server = await startRcloneS3();
    await server.createBucket("bucket");
    const keys = { access_key_id: server.accessKey, secret_access_key: server.secretKey };
    return await faulty(
      server,
      server.endpoint,
      (endpoint) => ({ type: "s3", endpoint, bucket: "bucket", ...keys }),
      s3Part,
    );
  },
  async azure() {
    const server = await startAzurite();
    await server.createContainer("bucket");
    const login = { account: AZURITE_ACCOUNT, account_key: AZURITE_KEY, container: "bucket" };
    const config = (origin: string) => ({ type: "azure", endpoint: `${origin}/${AZURITE_ACCOUNT}`, ...login });
    return await faulty(
      server,
      server.origin,
      config,
      (request) => new URL(request.url).searchParams.get("comp") === "block",
    );
  },
  async gcs() {
    const server = await startFakeGcs();
    await server.createBucket("bucket");
    const config = (endpoint: string) => ({ type: "gcs", endpoint, bucket: "bucket", anonymous: true });
    // Asked where an upload stands, it ends it: the tests of the upload itself have a server that does not.
    return await faulty(server, server.endpoint, config, undefined);
  },
};

const bytes = new Uint8Array(300_000).map((_, i) => i * 7 + (i >> 8));

for (const [name, start] of Object.entries(STORES)) {
  Deno.test(`withRetry over ${name} gets through throttling, lost answers, cut and slow bodies, and errors within a large upload`, async () => {
    await using under = await start();
    const { store, proxy } = under;

    proxy.injure((_, nth) => nth < 4 ? { kind: "answer", status: 503 } : undefined);
    await store.put("k", bytes);
    assert.equal(proxy.spoilt, 4, "throttled");

    // Done by the server, and nobody hears so: what is conditional must know its own work again.
    let lost = 0;
    proxy.injure(({ method }) =>
      method !== "GET" && method !== "HEAD" && lost++ === 0 ? { kind: "answer after", status: 500 } : undefined
    );
    await store.put("once", bytes, { ifAbsent: true });
    assert.ok(lost >= 1, "no answer was lost");
    assert.deepEqual(await store.get("once"), bytes);

    let cuts = 0;
    proxy.injure(({ method }) => method === "GET" && cuts++ < 2 ? { kind: "cut", afterBytes: 100_000 } : undefined);
    assert.deepEqual(await collect(store.stream("k")), bytes, "a cut stream");
    assert.ok(cuts > 2);
    cuts = 0;
    assert.deepEqual(await store.get("k"), bytes, "a cut answer");
    assert.ok(cuts > 2);

    proxy.injure(({ method }) => method === "GET" ? { kind: "slow", pieceBytes: 10_000 } : undefined);
    assert.deepEqual(await collect(store.stream("k")), bytes, "a slow stream");

    const before = proxy.spoilt;
    let parts = 0;
    const { isPart } = under;
    proxy.injure((request) => isPart?.(request) && parts++ === 0 ? { kind: "answer after", status: 500 } : undefined);
    const piece = new Uint8Array(1024 ** 2).map((_, i) => i * 3);
    await store.put(
      "large",
      (async function* () {
        for (let i = 0; i < 18; i++) yield piece;
      })(),
    );
    assert.equal(proxy.spoilt - before, isPart === undefined ? 0 : 1, "no piece was spoilt");
    proxy.injure(undefined);
    assert.equal((await store.head("large"))?.size, 18n * 1024n ** 2n);
    const [from, to] = [17 * 1024 ** 2 - 10, 17 * 1024 ** 2 + 10];
    assert.deepEqual(
      await store.get("large", { start: from, end: to }),
      new Uint8Array([...piece.slice(-10), ...piece.slice(0, 10)]),
    );
    assert.deepEqual((await Array.fromAsync(store.list(""))).map(({ key }) => key), ["k", "large", "once"]);
  });
}

Deno.test("createS3Store goes by the server's clock where that refuses this machine's", async () => {
  await using under = await STORES["s3 of versitygw"]!();
  // Ten minutes ahead, and strict: the real server behind it takes a quarter of an hour.
  const clock = () => Date.now() + 600_000;
  let refused = 0;
  under.proxy.injure((request) => {
    const [, y, m, d, h, min, s] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(
      request.headers.get("x-amz-date")!,
    )!;
    if (Math.abs(Date.parse(`${y}-${m}-${d}T${h}:${min}:${s}Z`) - clock()) < 300_000) return undefined;
    refused++;
    const body = "<Error><Code>RequestTimeTooSkewed</Code><Message>The clocks differ too much.</Message></Error>";
    return { kind: "answer", status: 403, body, headers: { date: new Date(clock()).toUTCString() } };
  });
  await under.store.put("k", bytes);
  assert.deepEqual(await under.store.get("k"), bytes);
  assert.ok(refused > 0);
});

Deno.test("createAzureStore knows its own commit, whose answer was lost, from another writer's of the same bytes", async () => {
  await using under = await STORES.azure!();
  const { store, proxy } = under;
  const piece = new Uint8Array(1024 ** 2).map((_, i) => i * 5);
  const body = async function* () {
    for (let i = 0; i < 18; i++) yield await Promise.resolve(piece);
  };
  let lost = 0;
  proxy.injure(({ url }) =>
    new URL(url).searchParams.get("comp") === "blocklist" && lost++ === 0
      ? { kind: "answer after", status: 500 }
      : undefined
  );
  assert.equal((await store.put("stream", body(), { ifAbsent: true })).size, 18n * 1024n ** 2n);
  assert.ok(lost > 1, "no commit was sent again");
  await assert.rejects(store.put("stream", body(), { ifAbsent: true }), { code: "refused" });
  await store.put("whole", bytes, { ifAbsent: true });
  await assert.rejects(store.put("whole", bytes, { ifAbsent: true }), { code: "refused" });
});

/** A login in a file, of which the service takes the first no more when the second is there. */
interface Renewed extends AsyncDisposable {
  readonly store: ObjectStore;
  /** Requests that were refused. */
  readonly refused: number;
  renew(): Promise<void>;
}

async function renewed(
  server: AsyncDisposable & { readonly origin: string },
  config: (origin: string, file: string) => Record<string, unknown>,
  logins: readonly [first: string, second: string],
  isOld: (request: Request) => boolean,
  refusal: Extract<Fault, { kind: "answer" }>,
): Promise<Renewed> {
  const file = await Deno.makeTempFile();
  await Deno.writeTextFile(file, logins[0]);
  const proxy = startFaultProxy(server.origin);
  const store = await openObjectStore(objectStoreSpec.parse(config(proxy.origin, file)));
  let refused = 0;
  return {
    store,
    get refused() {
      return refused;
    },
    async renew() {
      proxy.injure((request) => {
        if (!isOld(request)) return undefined;
        refused++;
        return refusal;
      });
      await Deno.writeTextFile(file, logins[1]);
    },
    async [Symbol.asyncDispose]() {
      await store.close();
      for (const each of [proxy, server]) await each[Symbol.asyncDispose]();
      await Deno.remove(file);
    },
  };
}

const RENEWED: Readonly<Record<string, () => Promise<Renewed>>> = {
  async azure() {
    const server = await startAzurite();
    await server.createContainer("bucket");
    const service = new BlobServiceClient(
      server.endpoint,
      new StorageSharedKeyCredential(AZURITE_ACCOUNT, AZURITE_KEY),
    );
    const signature = (hours: number) =>
      new URL(service.generateAccountSasUrl(
        new Date(Date.now() + hours * 3_600_000),
        AccountSASPermissions.parse("rwdlc"),
        "sco",
      )).search;
    const logins = [signature(1), signature(2)] as const;
    const old = new URLSearchParams(logins[0]).get("sig");
    return await renewed(
      server,
      (origin, file) => ({
        ...{ type: "azure", endpoint: `${origin}/${AZURITE_ACCOUNT}`, container: "bucket" },
        sas_token_file: file,
      }),
      logins,
      ({ url }) => new URL(url).searchParams.get("sig") === old,
      { kind: "answer", status: 403, headers: { "x-ms-error-code": "AuthenticationFailed" } },
    );
  },
  async gcs() {
    const server = await startFakeGcs();
    await server.createBucket("bucket");
    const dir = await Deno.makeTempDir();
    // Gives every pod the token that has its name.
    const tokens = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, async (request) =>
      Response.json({
        access_token: new URLSearchParams(await request.text()).get("subject_token"),
        token_type: "Bearer",
        expires_in: 3600,
        issued_token_type: "access_token",
      }));
    const login = async (pod: string) => {
      await Deno.writeTextFile(`${dir}/${pod}`, pod);
      return JSON.stringify({
        type: "external_account",
        audience: "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/p",
        subject_token_type: "urn:ietf:params:oauth:token-type:jwt",
        token_url: `http://127.0.0.1:${tokens.addr.port}/token`,
        credential_source: { file: `${dir}/${pod}` },
      });
    };
    return await renewed(
      {
        origin: server.endpoint,
        async [Symbol.asyncDispose]() {
          await server[Symbol.asyncDispose]();
          await tokens.shutdown();
          await Deno.remove(dir, { recursive: true });
        },
      },
      (endpoint, file) => ({ type: "gcs", endpoint, bucket: "bucket", credentials_file: file }),
      [await login("first"), await login("second")],
      ({ headers }) => headers.get("authorization") === "Bearer first",
      { kind: "answer", status: 401, body: JSON.stringify({ error: { code: 401, message: "Invalid Credentials" } }) },
    );
  },
};

for (const [name, start] of Object.entries(RENEWED)) {
  Deno.test(`a login of ${name} that ends within a large upload is read again from its file, and no byte of the stream is lost`, async () => {
    await using under = await start();
    const { store } = under;
    const piece = new Uint8Array(1024 ** 2).map((_, i) => i * 11);
    await store.put(
      "large",
      (async function* () {
        for (let i = 0; i < 70; i++) {
          // Blocks have 16 MiB: some of them are there by then.
          if (i === 40) await under.renew();
          yield piece;
        }
      })(),
    );
    assert.ok(under.refused > 0, "nothing was refused");
    assert.equal((await store.head("large"))?.size, 70n * 1024n ** 2n);
    let at = 0;
    for await (const chunk of store.stream("large")) {
      for (let offset = 0; offset < chunk.length;) {
        const begin = (at + offset) % piece.length;
        const part = chunk.subarray(offset, offset + piece.length - begin);
        assert.equal(Buffer.compare(part, piece.subarray(begin, begin + part.length)), 0, `bytes from ${at + offset}`);
        offset += part.length;
      }
      at += chunk.length;
    }
    assert.equal(at, 70 * 1024 ** 2);
  });
}

Deno.test("createGcsStore does not take an upload for complete that the service ended before its last piece", async () => {
  await using under = await STORES.gcs!();
  let pieces = 0;
  // fake-gcs-server ends an upload when it is asked where it stands.
  under.proxy.injure(({ method, url }) =>
    method === "PUT" && new URL(url).searchParams.has("upload_id") && pieces++ === 0
      ? { kind: "answer after", status: 500 }
      : undefined
  );
  const piece = new Uint8Array(1024 ** 2).fill(7);
  const body = async function* () {
    for (let i = 0; i < 18; i++) yield await Promise.resolve(piece);
  };
  await assert.rejects(under.store.put("large", body()), { code: "damaged", message: /ended the upload of large at/ });
});
