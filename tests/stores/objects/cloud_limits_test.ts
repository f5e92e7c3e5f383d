import assert from "node:assert/strict";
import { createAzureStore } from "../../../stores/objects/azure.ts";
import { withRetry } from "../../../stores/objects/retry.ts";
import { createGcsStore } from "../../../stores/objects/gcs.ts";

const bytesOf = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 37) % 251);

async function* chunks(bytes: Uint8Array, size = 3): AsyncIterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const serve = (answer: Deno.ServeHandler) => Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, answer);

/** Takes blocks of ten bytes, five of a blob, and blobs of ten bytes in one request. */
function blobService() {
  const staged = new Map<string, Uint8Array>();
  const blobs = new Map<string, Uint8Array>();
  const http = serve(async (request) => {
    const url = new URL(request.url);
    const body = new Uint8Array(await request.arrayBuffer());
    const refusal = (status: number, code: string) =>
      new Response(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>${code}</Message></Error>`, {
        status,
        headers: { "x-ms-error-code": code, "content-type": "application/xml" },
      });
    switch (url.searchParams.get("comp")) {
      case "block":
        if (body.length > 10) return refusal(413, "RequestBodyTooLarge");
        staged.set(url.searchParams.get("blockid")!, body);
        break;
      case "blocklist": {
        const ids = [...new TextDecoder().decode(body).matchAll(/<Latest>(.*?)<\/Latest>/g)].map(([, id]) => id!);
        if (ids.length > 5) return refusal(400, "BlockListTooLong");
        blobs.set(url.pathname, Uint8Array.from(ids.flatMap((id) => [...staged.get(id)!])));
        break;
      }
      default:
        if (body.length > 10) return refusal(413, "RequestBodyTooLarge");
        blobs.set(url.pathname, body);
    }
    return new Response(null, { status: 201, headers: { etag: '"e"', "last-modified": new Date(0).toUTCString() } });
  });
  return { staged, blobs, http };
}

Deno.test("createAzureStore writes a stream in blocks up to the last byte that the service takes, and refuses more in words", async () => {
  const { staged, blobs, http } = blobService();
  const store = createAzureStore({
    endpoint: `http://127.0.0.1:${http.addr.port}/account`,
    container: "c",
    prefix: "",
    login: { kind: "key", account: "account", key: btoa("key") },
    tls: { ca: undefined, insecure: false },
    maxConcurrency: 8,
    blockBytes: 10,
    blocksMax: 5,
  });
  for (const length of [0, 10, 11, 49, 50]) {
    const info = await store.put(`k${length}`, chunks(bytesOf(length)));
    assert.equal(info.size, BigInt(length));
    assert.deepEqual(blobs.get(`/account/c/k${length}`), bytesOf(length), `${length} bytes`);
  }
  staged.clear();
  await assert.rejects(store.put("larger", chunks(bytesOf(5000))), { code: "refused", message: /larger than 50 B/ });
  assert.equal(blobs.has("/account/c/larger"), false);
  assert.ok(staged.size <= 5, `${staged.size} blocks were sent`);
  await store.close();
  await http.shutdown();
});

Deno.test("createAzureStore does not wait for ever for an answer: what is asked again is, a stream fails as unreachable", async () => {
  const over = Promise.withResolvers<void>();
  let silent: (request: Request) => boolean = () => false;
  let asked = 0;
  const http = serve(async (request) => {
    await request.bytes().catch(() => {});
    if (silent(request)) {
      asked++;
      await over.promise;
    }
    return new Response(null, { status: 201, headers: { etag: '"e"', "last-modified": new Date(0).toUTCString() } });
  });
  const store = withRetry(
    createAzureStore({
      endpoint: `http://127.0.0.1:${http.addr.port}/account`,
      container: "c",
      prefix: "",
      login: { kind: "key", account: "account", key: btoa("key") },
      tls: { ca: undefined, insecure: false },
      maxConcurrency: 8,
      blockBytes: 10,
      answerMs: 50,
    }),
    { sleep: () => Promise.resolve() },
  );
  silent = () => asked === 0;
  await store.put("k", bytesOf(10));
  assert.equal(asked, 1);
  silent = ({ url }) => new URL(url).searchParams.get("comp") === "block";
  const fails = { code: "unreachable", retriable: true, message: /No answer came$/ };
  await assert.rejects(store.put("k", chunks(bytesOf(50))), fails);
  over.resolve();
  await store.close();
  await http.shutdown();
});

function gcsAt(http: Deno.HttpServer<Deno.NetAddr>) {
  return createGcsStore({
    endpoint: `http://127.0.0.1:${http.addr.port}`,
    bucket: "b",
    prefix: "",
    login: "anonymous",
    tls: { ca: undefined },
    maxConcurrency: 8,
  });
}

Deno.test("createGcsStore goes on with a copy of a large object until the service says that it is done", async () => {
  const tokens: (string | null)[] = [];
  const http = serve((request) => {
    tokens.push(new URL(request.url).searchParams.get("rewriteToken"));
    return Response.json(
      tokens.length < 4
        ? { done: false, rewriteToken: `t${tokens.length}` }
        : { done: true, resource: { name: "to", size: "9", md5Hash: btoa("0123456789abcdef") } },
    );
  });
  const store = gcsAt(http);
  assert.deepEqual(await store.copyFrom(store, "from", "to"), { etag: "30313233343536373839616263646566" });
  assert.deepEqual(tokens, [null, "t1", "t2", "t3"]);
  await store.close();
  await http.shutdown();
});

Deno.test("createGcsStore does not begin a copy again and again where the service does not say how it goes on", async () => {
  let calls = 0;
  const http = serve(() => {
    calls++;
    return Response.json({ done: false });
  });
  const store = gcsAt(http);
  await assert.rejects(store.copyFrom(store, "from", "to"), {
    code: "unsupported",
    message: /ended a copy in its middle/,
  });
  assert.equal(calls, 1);
  await store.close();
  await http.shutdown();
});
