import assert from "node:assert/strict";
import { createVerify, generateKeyPairSync, type KeyObject } from "node:crypto";
import type { ObjectStore } from "../../../pipeline/model/mod.ts";
import { objectStoreSpec, openObjectStore } from "../../../stores/mod.ts";

const EMAIL = "backup@project.iam.gserviceaccount.com";
const SCOPE = "https://www.googleapis.com/auth/devstorage.read_write";

/** Google's token endpoint, which looks at each assertion, and one object for those who show the newest token. */
class Google implements AsyncDisposable {
  /** Of the key that it knows. */
  publicKey: KeyObject | undefined;
  tokens = 0;
  refusals = 0;
  /** For how long tokens are given, s. */
  validSecs = 3600;
  /** By how much its clock is ahead, ms. */
  aheadMs = 0;
  /** Chunks of an upload so far; before the one with this number its token ends. */
  chunks = 0;
  endAt: number | undefined;
  #received = 0;
  readonly #http = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    (request) => this.#answer(request),
  );

  get endpoint(): string {
    return `http://127.0.0.1:${this.#http.addr.port}`;
  }

  async #answer(request: Request): Promise<Response> {
    const url = new URL(request.url);
    if (url.pathname === "/token") return this.#token(new URLSearchParams(await request.text()));
    const body = await request.bytes();
    if (url.searchParams.has("upload_id") && ++this.chunks === this.endAt) this.tokens++;
    if (request.headers.get("authorization") !== `Bearer token-${this.tokens}`) {
      this.refusals++;
      return Response.json({ error: { code: 401, message: "Invalid Credentials" } }, { status: 401 });
    }
    if (url.searchParams.get("uploadType") === "resumable") {
      return new Response(null, { headers: { location: `${this.endpoint}/upload?upload_id=1` } });
    }
    if (!url.searchParams.has("upload_id")) return new Response("hello");
    this.#received += body.length;
    if (/\*$/.test(request.headers.get("content-range")!)) {
      return new Response(null, { status: 308, headers: { range: `bytes=0-${this.#received - 1}` } });
    }
    return Response.json({ name: "large", size: String(this.#received) });
  }

  #token(asked: URLSearchParams): Response {
    const refuse = (words: string) =>
      Response.json({ error: "invalid_grant", error_description: words }, {
        status: 400,
        headers: { date: new Date(Date.now() + this.aheadMs).toUTCString() },
      });
    assert.equal(asked.get("grant_type"), "urn:ietf:params:oauth:grant-type:jwt-bearer");
    const [head, claims, signature] = asked.get("assertion")!.split(".") as [string, string, string];
    const read = (part: string) =>
      JSON.parse(new TextDecoder().decode(Uint8Array.fromBase64(part, { alphabet: "base64url" })));
    assert.equal(read(head).alg, "RS256");
    const { iss, scope, aud, iat, exp } = read(claims);
    assert.deepEqual([iss, scope, aud], [EMAIL, SCOPE, `${this.endpoint}/token`]);
    const now = (Date.now() + this.aheadMs) / 1000;
    if (Math.abs(now - iat) > 300 || exp - iat > 3600) {
      return refuse(
        "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim.",
      );
    }
    const right = this.publicKey !== undefined &&
      createVerify("RSA-SHA256").update(`${head}.${claims}`).verify(this.publicKey, signature, "base64url");
    if (!right) return refuse("Invalid JWT Signature.");
    return Response.json({ access_token: `token-${++this.tokens}`, token_type: "Bearer", expires_in: this.validSecs });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#http.shutdown();
  }
}

async function withStore(
  body: (store: ObjectStore, google: Google, rotate: () => Promise<KeyObject>) => Promise<void>,
): Promise<void> {
  await using google = new Google();
  const file = await Deno.makeTempFile();
  /** As Google's console writes it. */
  const rotate = async () => {
    const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    await Deno.writeTextFile(
      file,
      JSON.stringify({
        type: "service_account",
        project_id: "project",
        private_key_id: "0123",
        private_key: privateKey.export({ type: "pkcs8", format: "pem" }),
        client_email: EMAIL,
        client_id: "1",
        token_uri: `${google.endpoint}/token`,
      }),
    );
    return publicKey;
  };
  try {
    google.publicKey = await rotate();
    const config = { type: "gcs", bucket: "b", endpoint: google.endpoint, credentials_file: file };
    const store = await openObjectStore(objectStoreSpec.parse(config), { retry: false });
    await body(store, google, rotate);
    await store.close();
  } finally {
    await Deno.remove(file);
  }
}

const read = async (store: ObjectStore) => new TextDecoder().decode(await store.get("k"));

Deno.test("openObjectStore logs in with a service account's key file where that says, and asks for one token for many requests", async () => {
  await withStore(async (store, google) => {
    for (let i = 0; i < 4; i++) assert.equal(await read(store), "hello");
    assert.deepEqual([google.tokens, google.refusals], [1, 0]);
  });
});

Deno.test("openObjectStore renews a service account's token before it ends", async () => {
  await withStore(async (store, google) => {
    // Less than the client keeps in reserve.
    google.validSecs = 30;
    assert.equal(await read(store), "hello");
    assert.equal(await read(store), "hello");
    assert.deepEqual([google.tokens, google.refusals], [2, 0]);
  });
});

Deno.test("openObjectStore reads a service account's key again from its file when it was replaced", async () => {
  await withStore(async (store, google, rotate) => {
    assert.equal(await read(store), "hello");
    google.publicKey = await rotate();
    google.tokens++;
    assert.equal(await read(store), "hello");
    // And says what is wrong where the file has no other.
    google.publicKey = undefined;
    google.tokens++;
    const error = await store.get("k").then(() => assert.fail("It was let in"), (thrown) => thrown);
    assert.equal(error.code, "authentication");
    assert.match(error.message, /Google's login gave no token: invalid_grant: Invalid JWT Signature/);
    assert.ok(!/PRIVATE KEY|BEGIN/.test(`${error.message} ${error.hint}`));
  });
});

Deno.test("openObjectStore goes on with a large upload to Google whose token ends in its middle", async () => {
  await withStore(async (store, google) => {
    google.endAt = 2;
    const body = async function* () {
      for (let i = 0; i < 34; i++) yield await Promise.resolve(new Uint8Array(1024 ** 2));
    };
    assert.equal((await store.put("large", body())).size, 34n * 1024n ** 2n);
    // Three chunks of up to 16 MiB, one of them twice.
    assert.deepEqual([google.refusals, google.chunks], [1, 4]);
  });
});

Deno.test("openObjectStore says by how much this machine's clock is wrong where Google's login refuses it for that", async () => {
  await withStore(async (store, google) => {
    google.aheadMs = 20 * 60_000;
    await assert.rejects(store.get("k"), {
      code: "authentication",
      message: /Google's login gave no token: .*Check your iat and exp/,
      hint: "This machine's clock is 20 min behind the server's: set it, or the server's.",
    });
  });
});
