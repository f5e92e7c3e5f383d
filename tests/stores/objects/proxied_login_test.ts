import assert from "node:assert/strict";
import { startForwardProxy } from "../../stack/forward_proxy.ts";
import { FakeS3 } from "./fake_s3.ts";

/** STS, and the metadata of a machine and of a container. */
class Metadata implements AsyncDisposable {
  /** Paths and actions that were asked for. */
  readonly asked: string[] = [];
  readonly #http = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, async (request) => {
    const { pathname } = new URL(request.url);
    const asked = pathname === "/" ? new URLSearchParams(await request.text()).get("Action")! : pathname;
    this.asked.push(asked);
    const keys = { AccessKeyId: "KEY", Token: "token", Expiration: new Date(Date.now() + 3_600_000).toISOString() };
    if (pathname === "/") {
      return new Response(
        `<${asked}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><${asked}Result><Credentials>` +
          `<AccessKeyId>KEY</AccessKeyId><SecretAccessKey>secret</SecretAccessKey><SessionToken>token</SessionToken>` +
          `<Expiration>${keys.Expiration}</Expiration></Credentials></${asked}Result></${asked}Response>`,
        { headers: { "content-type": "application/xml" } },
      );
    }
    if (pathname === "/latest/api/token") return new Response("session");
    if (pathname === "/latest/meta-data/iam/security-credentials/") return new Response("role");
    return Response.json({ Code: "Success", ...keys, SecretAccessKey: "secret" });
  });

  get port(): number {
    return this.#http.addr.port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#http.shutdown();
  }
}

/** A process that writes and reads one object, with nothing of AWS in its environment but what is given. */
async function use(config: object, env: Record<string, string>): Promise<void> {
  const program = `
    import { objectStoreSpec, openObjectStore } from "${new URL("../../../stores/mod.ts", import.meta.url)}";
    const store = await openObjectStore(objectStoreSpec.parse(JSON.parse(Deno.args[0])), { retry: false });
    await store.put("k", new Uint8Array([1, 2]));
    if ((await store.get("k")).length !== 2) throw new Error("It came back as another");
    await store.close();`;
  const folder = await Deno.makeTempDir();
  const passed = ["PATH", "DENO_DIR", "XDG_CACHE_HOME"].flatMap((name) => {
    const value = Deno.env.get(name);
    return value === undefined ? [] : [[name, value]];
  });
  // The cache of packages is looked for in HOME, and so are AWS' own files.
  const cache = Deno.env.get("DENO_DIR") === undefined ? { HOME: Deno.env.get("HOME") ?? folder } : { HOME: folder };
  try {
    await Deno.writeTextFile(`${folder}/use.ts`, program);
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-A", "--no-check", "--quiet", "--config", new URL("../../../deno.json", import.meta.url).pathname],
        ...[`${folder}/use.ts`, JSON.stringify({ type: "s3", bucket: "b", ...config })],
      ],
      clearEnv: true,
      env: {
        ...Object.fromEntries(passed),
        ...cache,
        DENO_NO_UPDATE_CHECK: "1",
        AWS_CONFIG_FILE: `${folder}/none`,
        AWS_SHARED_CREDENTIALS_FILE: `${folder}/none`,
        ...env,
      },
      stdout: "null",
    }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const KEYS = { access_key_id: "MASTER", secret_access_key: "secret" };

Deno.test("openObjectStore asks STS for a role through the proxy that the environment names for STS, whatever holds for the bucket", async () => {
  await using s3 = new FakeS3();
  await using sts = new Metadata();
  await using proxy = startForwardProxy();
  const endpoint = `http://localhost:${s3.port}`;
  const [bucket, role] = [`localhost:${s3.port}`, `127.0.0.1:${sts.port}`];
  const assume_role = { role_arn: "arn:aws:iam::123456789012:role/backup", sts_endpoint: `http://${role}` };
  for (
    const [NO_PROXY, seen] of [["", [role, bucket]], ["localhost", [role]], ["127.0.0.1", [bucket]], ["*", []]] as const
  ) {
    const before = proxy.seen.length;
    await use({ endpoint, assume_role, ...KEYS }, { HTTP_PROXY: proxy.url, NO_PROXY });
    assert.deepEqual([...new Set(proxy.seen.slice(before))].sort(), [...seen].sort(), `NO_PROXY=${NO_PROXY}`);
  }
  assert.deepEqual(sts.asked, Array(4).fill("AssumeRole"));
});

Deno.test("openObjectStore asks STS for a pod's role through the environment's proxy, though its bucket needs none", async () => {
  await using s3 = new FakeS3();
  await using sts = new Metadata();
  await using proxy = startForwardProxy();
  const token = await Deno.makeTempFile();
  await Deno.writeTextFile(token, "token-of-the-pod");
  const pod = {
    HTTP_PROXY: proxy.url,
    AWS_ROLE_ARN: "arn:aws:iam::123456789012:role/pod",
    AWS_WEB_IDENTITY_TOKEN_FILE: token,
    AWS_ENDPOINT_URL_STS: `http://127.0.0.1:${sts.port}`,
  };
  const endpoint = `http://localhost:${s3.port}`;
  await use({ endpoint }, { ...pod, NO_PROXY: "localhost" });
  assert.deepEqual(new Set(proxy.seen), new Set([`127.0.0.1:${sts.port}`]));
  const before = proxy.seen.length;
  await use({ endpoint }, { ...pod, NO_PROXY: "127.0.0.1" });
  assert.deepEqual(new Set(proxy.seen.slice(before)), new Set([`localhost:${s3.port}`]));
  // A role that is taken with the pod's: both by STS.
  const assume_role = {
    role_arn: "arn:aws:iam::123456789012:role/backup",
    sts_endpoint: `http://127.0.0.1:${sts.port}`,
  };
  const last = proxy.seen.length;
  await use({ endpoint, assume_role }, { ...pod, NO_PROXY: "localhost" });
  assert.deepEqual(new Set(proxy.seen.slice(last)), new Set([`127.0.0.1:${sts.port}`]));
  const web = "AssumeRoleWithWebIdentity";
  assert.deepEqual(sts.asked, [web, web, web, "AssumeRole"]);
  await Deno.remove(token);
});

Deno.test("openObjectStore asks the metadata of a machine and of a container past the proxy", async () => {
  await using s3 = new FakeS3();
  await using proxy = startForwardProxy();
  const sources = {
    machine: (port: number) => ({ AWS_EC2_METADATA_SERVICE_ENDPOINT: `http://127.0.0.1:${port}` }),
    container: (port: number) => ({ AWS_CONTAINER_CREDENTIALS_FULL_URI: `http://127.0.0.1:${port}/credentials` }),
  };
  for (const [name, source] of Object.entries(sources)) {
    await using metadata = new Metadata();
    for (const NO_PROXY of ["", "localhost"]) {
      const before = proxy.seen.length;
      const asked = metadata.asked.length;
      await use({ endpoint: `http://localhost:${s3.port}` }, {
        HTTP_PROXY: proxy.url,
        NO_PROXY,
        ...source(metadata.port),
      });
      assert.ok(metadata.asked.length > asked, `${name} was not asked`);
      const expected = NO_PROXY === "" ? [`localhost:${s3.port}`] : [];
      assert.deepEqual([...new Set(proxy.seen.slice(before))], expected, `${name}, NO_PROXY=${NO_PROXY}`);
    }
  }
});
