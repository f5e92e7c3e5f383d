import assert from "node:assert/strict";
import type { ObjectStore } from "../../../pipeline/model/mod.ts";
import { objectStoreSpec, openObjectStore } from "../../../stores/mod.ts";

/** Gives tokens to workloads, and keeps one object for those who show the newest token. */
class Google implements AsyncDisposable {
  /** Whose token is exchanged. */
  pod = "first";
  tokens = 0;
  refusals = 0;
  readonly #http = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    (request) => this.#answer(request),
  );

  get endpoint(): string {
    return `http://127.0.0.1:${this.#http.addr.port}`;
  }

  /** What was given out is no longer valid. */
  withdraw(): void {
    this.tokens++;
  }

  async #answer(request: Request): Promise<Response> {
    if (new URL(request.url).pathname === "/token") {
      if (new URLSearchParams(await request.text()).get("subject_token") !== this.pod) {
        return Response.json({ error: "invalid_grant", error_description: "Unknown pod" }, { status: 400 });
      }
      return Response.json({
        access_token: `token-${++this.tokens}`,
        token_type: "Bearer",
        expires_in: 3600,
        issued_token_type: "access_token",
      });
    }
    await request.body?.cancel();
    if (request.headers.get("authorization") !== `Bearer token-${this.tokens}`) {
      this.refusals++;
      return Response.json({ error: { code: 401, message: "Invalid Credentials" } }, { status: 401 });
    }
    return new Response("hello");
  }

  /** A configuration of workload identity federation, as `gcloud iam workload-identity-pools create-cred-config` writes it. */
  federation(tokenFile: string): string {
    return JSON.stringify({
      type: "external_account",
      audience: "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/p",
      subject_token_type: "urn:ietf:params:oauth:token-type:jwt",
      token_url: `${this.endpoint}/token`,
      credential_source: { file: tokenFile },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#http.shutdown();
  }
}

type Body = (store: ObjectStore, google: Google, dir: string) => Promise<void>;

async function withStore(body: Body): Promise<void> {
  await using google = new Google();
  const dir = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${dir}/pod`, "first");
    await Deno.writeTextFile(`${dir}/credentials`, google.federation(`${dir}/pod`));
    const config = { type: "gcs", bucket: "b", endpoint: google.endpoint, credentials_file: `${dir}/credentials` };
    const store = await openObjectStore(objectStoreSpec.parse(config), { retry: false });
    await body(store, google, dir);
    await store.close();
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

Deno.test("openObjectStore logs in with a workload's token, once for many requests", async () => {
  await withStore(async (store, google) => {
    for (let i = 0; i < 5; i++) assert.equal(text(await store.get("k")), "hello");
    assert.deepEqual([google.tokens, google.refusals], [1, 0]);
  });
});

Deno.test("openObjectStore asks for another token where one is refused before its time", async () => {
  await withStore(async (store, google) => {
    await store.get("k");
    google.withdraw();
    assert.equal(text(await store.get("k")), "hello");
    assert.deepEqual([google.tokens, google.refusals], [3, 1]);
  });
});

Deno.test("openObjectStore logs in with the workload's token as its file holds it now, and with the file that it is given now", async () => {
  await withStore(async (store, google, dir) => {
    await store.get("k");
    // The pod's token is rotated.
    google.pod = "second";
    google.withdraw();
    await assert.rejects(store.get("k"), { code: "authentication", message: /gave no token: .*Unknown pod/ });
    await Deno.writeTextFile(`${dir}/pod`, "second");
    assert.equal(text(await store.get("k")), "hello");
    // And then the whole configuration.
    google.pod = "third";
    google.withdraw();
    await Deno.writeTextFile(`${dir}/another`, "third");
    await Deno.writeTextFile(`${dir}/credentials`, google.federation(`${dir}/another`));
    assert.equal(text(await store.get("k")), "hello");
  });
});

Deno.test("openObjectStore names a file of credentials that is none", async () => {
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(file, "private-words");
    const config = objectStoreSpec.parse({ type: "gcs", bucket: "b", credentials_file: file });
    const error = await openObjectStore(config).then(() => assert.fail("It was opened"), (thrown) => thrown);
    assert.deepEqual([error.code, error.message], [
      "config",
      `The file ${file} that credentials_file names is no JSON`,
    ]);
    assert.ok(!Deno.inspect(error).includes("private-words"));
  } finally {
    await Deno.remove(file);
  }
});
