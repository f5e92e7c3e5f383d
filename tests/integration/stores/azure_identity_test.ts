import assert from "node:assert/strict";
import type { ObjectStore } from "../../../pipeline/model/mod.ts";
import { objectStoreSpec, openObjectStore } from "../../../stores/mod.ts";
import { createAzureIdentity } from "../../../stores/objects/azure_identity.ts";
import { makeCertificates } from "./etcd_process.ts";

const SCOPE = "https://storage.azure.com/.default";

/** By the certificate in `dir`. */
async function serve(dir: string, handler: (request: Request) => Promise<Response>) {
  const [cert, key] = await Promise.all(
    ["server", "server-key"].map((name) => Deno.readTextFile(`${dir}/${name}.pem`)),
  );
  return Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {}, cert: cert!, key: key! }, handler);
}

/** Entra ID, which gives tokens for what it is asked. */
async function entra(dir: string) {
  const asked: URLSearchParams[] = [];
  const terms = { expiresIn: 3600, secret: "the-secret" };
  const server = await serve(dir, async (request) => {
    const { pathname, origin } = new URL(request.url);
    if (request.method === "GET") {
      return Response.json({
        issuer: `${origin}/tenant/v2.0`,
        jwks_uri: `${origin}/tenant/discovery/v2.0/keys`,
        authorization_endpoint: `${origin}/tenant/oauth2/v2.0/authorize`,
        token_endpoint: `${origin}/tenant/oauth2/v2.0/token`,
      });
    }
    assert.match(pathname, /\/oauth2\/v2\.0\/token$/);
    const form = new URLSearchParams(await request.text());
    if (form.has("client_secret") && form.get("client_secret") !== terms.secret) {
      const words = "AADSTS7000215: Invalid client secret provided.";
      return Response.json({ error: "invalid_client", error_description: words }, { status: 401 });
    }
    asked.push(form);
    return Response.json({ token_type: "Bearer", expires_in: terms.expiresIn, access_token: `token-${asked.length}` });
  });
  return { asked, terms, server, authority: `https://127.0.0.1:${server.addr.port}` };
}

Deno.test("createAzureIdentity logs in as an application and as a workload, at an authority with its own certificate", async () => {
  const dir = await makeCertificates("localhost", "127.0.0.1");
  const { asked, server, authority } = await entra(dir);
  try {
    const tls = { ca: await Deno.readTextFile(`${dir}/ca.pem`) };
    const common = { tenantId: "tenant", clientId: "application", authority, tls };
    const secret = createAzureIdentity({ ...common, type: "client_secret", clientSecret: "the-secret" });
    assert.equal((await secret.getToken(SCOPE))?.token, "token-1");
    assert.equal((await secret.getToken(SCOPE))?.token, "token-1", "kept until it is about to end");
    assert.equal(asked[0]!.get("client_secret"), "the-secret");
    await Deno.writeTextFile(`${dir}/pod`, "pod-token");
    const workload = createAzureIdentity({ ...common, type: "workload", tokenFile: `${dir}/pod` });
    assert.equal((await workload.getToken(SCOPE))?.token, "token-2");
    assert.equal(asked[1]!.get("client_assertion"), "pod-token");
    assert.equal(asked[1]!.get("scope")?.split(" ")[0], SCOPE);
  } finally {
    await server.shutdown();
    await Deno.remove(dir, { recursive: true });
  }
});

/** For the time of `work`. */
async function withEnvironment(set: Readonly<Record<string, string>>, work: () => Promise<void>): Promise<void> {
  const before = Object.keys(set).map((name) => [name, Deno.env.get(name)] as const);
  for (const [name, value] of Object.entries(set)) Deno.env.set(name, value);
  try {
    await work();
  } finally {
    for (const [name, value] of before) value === undefined ? Deno.env.delete(name) : Deno.env.set(name, value);
  }
}

Deno.test("createAzureIdentity logs in as the identity of a machine, its own or one that is named", async () => {
  const asked: { readonly url: string; readonly metadata: string | null }[] = [];
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, ({ url, headers }) => {
    asked.push({ url, metadata: headers.get("metadata") });
    const expires_on = String(Math.floor(Date.now() / 1000) + 3600);
    return Response.json({ token_type: "Bearer", expires_in: 3600, expires_on, access_token: `given-${asked.length}` });
  });
  try {
    await withEnvironment({ AZURE_POD_IDENTITY_AUTHORITY_HOST: `http://127.0.0.1:${server.addr.port}` }, async () => {
      for (const clientId of [undefined, "named"]) {
        const identity = createAzureIdentity({ type: "managed", ...(clientId === undefined ? {} : { clientId }) });
        assert.equal((await identity.getToken(SCOPE))?.token, `given-${asked.length}`);
        const { url, metadata } = asked.at(-1)!;
        const { pathname, searchParams } = new URL(url);
        assert.equal(pathname, "/metadata/identity/oauth2/token/");
        assert.equal(searchParams.get("resource"), "https://storage.azure.com");
        assert.equal(searchParams.get("client_id"), clientId ?? null);
        assert.equal(metadata, "true");
      }
    });
  } finally {
    await server.shutdown();
  }
});

Deno.test("createAzureIdentity takes what a pod's environment says of its workload where nothing is named", async () => {
  const dir = await makeCertificates("localhost", "127.0.0.1");
  const { asked, server, authority } = await entra(dir);
  try {
    await Deno.writeTextFile(`${dir}/pod`, "pod-token");
    const environment = {
      AZURE_TENANT_ID: "tenant",
      AZURE_CLIENT_ID: "application",
      AZURE_FEDERATED_TOKEN_FILE: `${dir}/pod`,
      AZURE_AUTHORITY_HOST: authority,
    };
    await withEnvironment(environment, async () => {
      const tls = { ca: await Deno.readTextFile(`${dir}/ca.pem`) };
      const identity = createAzureIdentity({ type: "default", authority, tls });
      assert.equal((await identity.getToken(SCOPE))?.token, "token-1");
      assert.deepEqual(["client_id", "client_assertion"].map((name) => asked[0]!.get(name)), [
        "application",
        "pod-token",
      ]);
    });
  } finally {
    await server.shutdown();
    await Deno.remove(dir, { recursive: true });
  }
});

/** Keeps blobs for those who show a token that it takes. */
async function blobService(dir: string) {
  const state = { takes: (_token: number): boolean => true, refused: 0, tokens: new Set<number>(), blocks: 0, size: 0 };
  const server = await serve(dir, async (request) => {
    const body = await request.bytes();
    const block = new URL(request.url).searchParams.get("comp") === "block";
    const token = Number(/^Bearer token-(\d+)$/.exec(request.headers.get("authorization") ?? "")?.[1]);
    if (!state.takes(token)) {
      state.refused++;
      return new Response(null, {
        status: 401,
        headers: {
          "x-ms-error-code": "InvalidAuthenticationInfo",
          "www-authenticate":
            "Bearer authorization_uri=https://login.microsoftonline.com/tenant/oauth2/authorize resource_id=https://storage.azure.com",
        },
      });
    }
    state.tokens.add(token);
    if (block) [state.blocks, state.size] = [state.blocks + 1, state.size + body.length];
    return new Response(null, { status: 201, headers: { etag: '"e"', "last-modified": new Date(0).toUTCString() } });
  });
  return { state, server, endpoint: `https://127.0.0.1:${server.addr.port}/account` };
}

interface Azure {
  readonly entra: Awaited<ReturnType<typeof entra>>;
  readonly blobs: Awaited<ReturnType<typeof blobService>>["state"];
  readonly store: ObjectStore;
  readonly secretFile: string;
}

async function withAzure(body: (azure: Azure) => Promise<void>): Promise<void> {
  const dir = await makeCertificates("localhost", "127.0.0.1");
  const [login, blobs] = [await entra(dir), await blobService(dir)];
  const secretFile = `${dir}/secret`;
  try {
    await Deno.writeTextFile(secretFile, "the-secret\n");
    const store = await openObjectStore(
      objectStoreSpec.parse({
        ...{ type: "azure", endpoint: blobs.endpoint, container: "c", tls: { ca_file: `${dir}/ca.pem` } },
        identity: {
          ...{ type: "client_secret", tenant_id: "tenant", client_id: "application", authority: login.authority },
          client_secret_file: secretFile,
        },
      }),
      { retry: false },
    );
    await body({ entra: login, blobs: blobs.state, store, secretFile });
    await store.close();
  } finally {
    for (const { server } of [login, blobs]) await server.shutdown();
    await Deno.remove(dir, { recursive: true });
  }
}

async function* large(pieces: number): AsyncIterable<Uint8Array> {
  for (let i = 0; i < pieces; i++) yield await Promise.resolve(new Uint8Array(1024 ** 2));
}

Deno.test("openObjectStore asks for another token where one is withdrawn within a large upload, and loses no byte of it", async () => {
  await withAzure(async ({ entra, blobs, store }) => {
    blobs.takes = (token) => token === 1 ? blobs.blocks < 2 : token === entra.asked.length;
    assert.equal((await store.put("large", large(50))).size, 50n * 1024n ** 2n);
    assert.ok(blobs.refused >= 1, "nothing was refused");
    assert.deepEqual([...blobs.tokens], [1, 2]);
    assert.equal(blobs.size, 50 * 1024 ** 2);
    // Where no token is taken, it ends.
    blobs.takes = () => false;
    await assert.rejects(store.put("k", new Uint8Array([1])), {
      code: "authentication",
      message: /InvalidAuthenticationInfo/,
    });
  });
});

Deno.test("openObjectStore renews an identity's token before it ends", async () => {
  await withAzure(async ({ entra, blobs, store }) => {
    // Less than the client keeps in reserve: it asks for the next one while this one is used.
    entra.terms.expiresIn = 60;
    for (let i = 0; i < 200 && blobs.tokens.size < 2; i++) await store.put(`k${i}`, new Uint8Array([1]));
    assert.ok(blobs.tokens.size >= 2, `${blobs.tokens.size} tokens`);
    assert.equal(blobs.refused, 0);
  });
});

Deno.test("openObjectStore reads an application's secret again from its file when Entra ID refuses it", async () => {
  await withAzure(async ({ entra, store, secretFile }) => {
    entra.terms.secret = "the-next-secret";
    await assert.rejects(store.put("k", new Uint8Array([1])), { code: "authentication", message: /AADSTS7000215/ });
    await Deno.writeTextFile(secretFile, "the-next-secret");
    await store.put("k", new Uint8Array([1]));
  });
});
