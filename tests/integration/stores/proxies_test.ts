/** Proxies as the environment names them, for every kind of store. */
import assert from "node:assert/strict";
import { AZURITE_ACCOUNT, AZURITE_KEY, startAzurite } from "../../stack/azurite.ts";
import { startFakeGcs } from "../../stack/fake_gcs.ts";
import { startForwardProxy } from "../../stack/forward_proxy.ts";
import { startVersitygw } from "../../stack/versitygw.ts";
import { FakeS3 } from "../../stores/objects/fake_s3.ts";
import { makeCertificates } from "./etcd_process.ts";

const certs = await makeCertificates("localhost", "127.0.0.1");
Deno.test.afterAll(() => Deno.remove(certs, { recursive: true }));

interface Server extends AsyncDisposable {
  readonly host: string;
  readonly config: Record<string, unknown>;
}

async function s3(tls: boolean): Promise<Server> {
  const server = await startVersitygw(tls ? { tlsDir: certs } : {});
  await server.createBucket("bucket");
  const { accessKeyId, secretAccessKey } = server.root;
  const keys = { access_key_id: accessKeyId, secret_access_key: secretAccessKey };
  return {
    host: new URL(server.endpoint).host,
    config: { type: "s3", endpoint: server.endpoint, bucket: "bucket", ...keys },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

async function azure(tls: boolean): Promise<Server> {
  const server = await startAzurite(tls ? { tlsDir: certs } : {});
  await server.createContainer("bucket");
  const login = { account: AZURITE_ACCOUNT, account_key: AZURITE_KEY };
  return {
    host: new URL(server.endpoint).host,
    config: { type: "azure", endpoint: server.endpoint, container: "bucket", ...login },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

async function gcs(tls: boolean): Promise<Server> {
  const server = await startFakeGcs(tls ? { tlsDir: certs } : {});
  await server.createBucket("bucket");
  return {
    host: new URL(server.endpoint).host,
    config: { type: "gcs", endpoint: server.endpoint, bucket: "bucket", anonymous: true },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

async function use(config: Record<string, unknown>, env: Record<string, string>): Promise<void> {
  const program = new URL("./proxied_store.ts", import.meta.url).pathname;
  const none = {
    DENO_NO_UPDATE_CHECK: "1",
    HTTP_PROXY: "",
    HTTPS_PROXY: "",
    ALL_PROXY: "",
    NO_PROXY: "",
    http_proxy: "",
    https_proxy: "",
    no_proxy: "",
  };
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--quiet", program, JSON.stringify(config)],
    env: { ...none, ...env },
    stdout: "null",
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
}

for (const [name, start] of Object.entries({ s3, azure, gcs })) {
  Deno.test(`openObjectStore: ${name} goes through HTTP_PROXY, but not to what NO_PROXY names`, async () => {
    await using server = await start(false);
    await using proxy = startForwardProxy();
    await use(server.config, { HTTP_PROXY: proxy.url });
    assert.ok(proxy.seen.length > 0, "nothing went through the proxy");
    assert.deepEqual(new Set(proxy.seen), new Set([server.host]));
    const before = proxy.seen.length;
    await use(server.config, { HTTP_PROXY: proxy.url, NO_PROXY: "example.com,127.0.0.1" });
    assert.equal(proxy.seen.length, before);
  });
}

for (const [name, start] of Object.entries({ s3, azure, gcs })) {
  Deno.test(`openObjectStore: ${name} goes through a tunnel of HTTPS_PROXY, with a certificate of one's own`, async () => {
    await using server = await start(true);
    await using proxy = startForwardProxy();
    const config = { ...server.config, tls: { ca_file: `${certs}/ca.pem` } };
    await use(config, { HTTPS_PROXY: proxy.url, HTTP_PROXY: "http://127.0.0.1:9" });
    assert.deepEqual(new Set(proxy.seen), new Set([`CONNECT ${server.host}`]));
    const before = proxy.seen.length;
    await use(config, { HTTPS_PROXY: proxy.url, NO_PROXY: "127.0.0.1" });
    assert.equal(proxy.seen.length, before);
  });
}

/** Gives tokens to the machine that asks; Azurite takes those that look like Entra ID's. */
async function withMetadata(work: (host: string, asked: readonly string[]) => Promise<void>): Promise<void> {
  const asked: string[] = [];
  const part = (value: object) =>
    new TextEncoder().encode(JSON.stringify(value)).toBase64({ alphabet: "base64url", omitPadding: true });
  const now = Math.floor(Date.now() / 1000);
  const claims = { iss: "https://sts.windows.net/t/", aud: "https://storage.azure.com", nbf: now - 60, iat: now - 60 };
  const token = [part({ alg: "none", typ: "JWT" }), part({ ...claims, exp: now + 3600 }), "none"].join(".");
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, ({ url }) => {
    asked.push(new URL(url).pathname);
    const answer = { access_token: token, token_type: "Bearer", expires_in: 3600, expires_on: String(now + 3600) };
    return Response.json(answer, { headers: { "metadata-flavor": "Google" } });
  });
  await work(`127.0.0.1:${server.addr.port}`, asked);
  await server.shutdown();
}

Deno.test("openObjectStore: a machine's login of Azure and of Google is asked for past the proxy, what it is for is not", async () => {
  await withMetadata(async (metadata, asked) => {
    await using proxy = startForwardProxy();
    await using service = await azure(true);
    const { account: _account, account_key: _key, ...config } = service.config;
    const tls = { ca_file: `${certs}/ca.pem` };
    const named = (config.endpoint as string).replace("127.0.0.1", "localhost");
    await use({ ...config, endpoint: named, tls, identity: { type: "managed" } }, {
      ...{ HTTP_PROXY: proxy.url, HTTPS_PROXY: proxy.url },
      AZURE_POD_IDENTITY_AUTHORITY_HOST: `http://${metadata}`,
    });
    assert.ok(asked.some((path) => /\/oauth2\/token\/?$/.test(path)), asked.join());
    assert.deepEqual(new Set(proxy.seen), new Set([`CONNECT ${service.host.replace("127.0.0.1", "localhost")}`]));
  });
  await withMetadata(async (metadata, asked) => {
    await using proxy = startForwardProxy();
    await using service = await gcs(false);
    const { anonymous: _anonymous, ...config } = service.config;
    const host = service.host.replace("127.0.0.1", "localhost");
    await use({ ...config, endpoint: `http://${host}` }, {
      ...{ HTTP_PROXY: proxy.url, METADATA_SERVER_DETECTION: "assume-present", GCE_METADATA_HOST: metadata },
    });
    assert.ok(asked.some((path) => path.endsWith("/token")), asked.join());
    assert.deepEqual(new Set(proxy.seen), new Set([host]));
  });
});

Deno.test("openObjectStore: an STS of one's own is trusted by tls.ca_file, without a proxy and in a tunnel", async () => {
  await using bucket = new FakeS3();
  await using proxy = startForwardProxy();
  const [cert, key] = await Promise.all(
    ["server.pem", "server-key.pem"].map((name) => Deno.readTextFile(`${certs}/${name}`)),
  );
  const sts = Deno.serve({ port: 0, hostname: "127.0.0.1", cert: cert!, key: key!, onListen: () => {} }, () => {
    const until = new Date(Date.now() + 3_600_000).toISOString();
    return new Response(
      '<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>' +
        "<AccessKeyId>KEY</AccessKeyId><SecretAccessKey>secret</SecretAccessKey><SessionToken>token</SessionToken>" +
        `<Expiration>${until}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`,
      { headers: { "content-type": "application/xml" } },
    );
  });
  const at = `127.0.0.1:${sts.addr.port}`;
  const config = {
    type: "s3",
    endpoint: bucket.endpoint,
    bucket: "b",
    access_key_id: "MASTER",
    secret_access_key: "secret",
    assume_role: { role_arn: "arn:aws:iam::123456789012:role/backup", sts_endpoint: `https://${at}` },
    tls: { ca_file: `${certs}/ca.pem` },
  };
  await use(config, {});
  await use(config, { HTTPS_PROXY: proxy.url });
  assert.deepEqual(new Set(proxy.seen), new Set([`CONNECT ${at}`]));
  await sts.shutdown();
});
