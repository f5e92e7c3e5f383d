import assert from "node:assert/strict";
import { openObjectStore } from "../../../stores/objects/open.ts";
import { objectStoreSpec } from "../../../stores/objects/spec.ts";

/** Knows one object, and one access key at a time. */
class Server implements AsyncDisposable {
  key = "first";
  readonly seen: string[] = [];
  readonly #http = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, (request) => {
    const used = /Credential=([^/]+)\//.exec(request.headers.get("authorization") ?? "")?.[1] ?? "";
    this.seen.push(used);
    if (used === this.key) return new Response("hello", { headers: { etag: '"e"' } });
    return new Response(
      "<?xml version='1.0'?><Error><Code>InvalidAccessKeyId</Code><Message>unknown key</Message></Error>",
      { status: 403, headers: { "content-type": "application/xml" } },
    );
  });

  get endpoint(): string {
    return `http://127.0.0.1:${this.#http.addr.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#http.shutdown();
  }
}

async function storeOf(server: Server, dir: string) {
  await Deno.writeTextFile(`${dir}/id`, "first\n");
  await Deno.writeTextFile(`${dir}/secret`, "secret\n");
  return await openObjectStore(
    objectStoreSpec.parse({
      type: "s3",
      endpoint: server.endpoint,
      bucket: "b",
      access_key_id_file: `${dir}/id`,
      secret_access_key_file: `${dir}/secret`,
    }),
    { retry: false },
  );
}

Deno.test("openObjectStore reads keys that come from files again when the server refuses them, and not before", async () => {
  const dir = await Deno.makeTempDir();
  try {
    await using server = new Server();
    const store = await storeOf(server, dir);
    const read = async () => new TextDecoder().decode(await store.get("k"));
    assert.equal(await read(), "hello");
    // Written, but the server takes the old ones still.
    await Deno.writeTextFile(`${dir}/id`, "second\n");
    assert.equal(await read(), "hello");
    assert.deepEqual(server.seen, ["first", "first"]);
    server.key = "second";
    assert.deepEqual(await Promise.all([read(), read(), read()]), ["hello", "hello", "hello"]);
    server.seen.length = 0;
    assert.equal(await read(), "hello");
    assert.deepEqual(server.seen, ["second"]);
    await store.close();
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("openObjectStore says that the keys are refused where their files hold no others", async () => {
  const dir = await Deno.makeTempDir();
  try {
    await using server = new Server();
    const store = await storeOf(server, dir);
    server.key = "second";
    await assert.rejects(store.get("k"), {
      code: "authentication",
      message: /refused the credentials: InvalidAccessKeyId/,
    });
    // The new ones come a little later than the refusal, as a mounted secret does.
    await Deno.writeTextFile(`${dir}/id`, "second");
    assert.equal(new TextDecoder().decode(await store.get("k")), "hello");
    await store.close();
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
