/** Keys in the services' own key stores, at servers that take no write without them, as Azure and Google do where a policy says so. */
import assert from "node:assert/strict";
import type { ObjectStore } from "../../../pipeline/model/mod.ts";
import { objectStoreSpec, openObjectStore } from "../../../stores/mod.ts";

const KEY = "projects/p/locations/l/keyRings/r/cryptoKeys/k";

/** More than one block of the stores. */
async function* large() {
  for (let i = 0; i < 17; i++) yield await Promise.resolve(new Uint8Array(1024 ** 2));
}

async function demanding(
  problem: (request: Request, url: URL) => string | undefined,
  answer: (request: Request, url: URL) => Response,
  config: (origin: string) => Record<string, unknown>,
  use: (store: ObjectStore) => Promise<void>,
) {
  const asked = { problems: [] as string[], writes: [] as string[] };
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, async (request) => {
    await request.bytes();
    const url = new URL(request.url);
    const found = problem(request, url);
    if (found !== undefined) asked.problems.push(`${request.method} ${url.pathname}${url.search}: ${found}`);
    if (request.method !== "GET" && request.method !== "HEAD") {
      asked.writes.push(
        `${request.method} ${url.searchParams.get("comp") ?? url.searchParams.get("uploadType") ?? ""}`,
      );
    }
    return answer(request, url);
  });
  const spec = objectStoreSpec.parse(config(`http://127.0.0.1:${server.addr.port}`));
  const store = await openObjectStore(spec, { retry: false });
  await use(store);
  await store.close();
  await server.shutdown();
  return asked;
}

Deno.test("createAzureStore asks for its encryption scope with each write, not with reads, and leaves copies, which know none, to the caller", async () => {
  const { problems, writes } = await demanding(
    ({ method, headers }) => {
      const [asked, expected] = [headers.get("x-ms-encryption-scope"), method === "PUT" ? "scope-1" : null];
      return asked === expected ? undefined : `scope ${asked}`;
    },
    ({ method }) => {
      const headers = { etag: '"e"', "last-modified": new Date(0).toUTCString(), "content-length": "0" };
      return new Response(null, { status: method === "PUT" ? 201 : 200, headers });
    },
    (origin) => ({
      ...{ type: "azure", endpoint: `${origin}/account`, account: "account", account_key: btoa("key") },
      ...{ container: "c", encryption_scope: "scope-1" },
    }),
    async (store) => {
      await store.put("whole", new Uint8Array(8));
      await store.put("large", large());
      await store.head("whole");
      await store.get("whole");
      assert.equal(await store.copyFrom(store, "whole", "copy"), undefined);
    },
  );
  assert.deepEqual(problems, []);
  assert.deepEqual(writes, ["PUT ", "PUT block", "PUT block", "PUT blocklist"]);
});

Deno.test("createGcsStore asks for its key with each write and copy, not with reads and pieces of a write", async () => {
  const { problems, writes } = await demanding(
    ({ method }, { searchParams, pathname }) => {
      const makes = method === "POST" && !pathname.includes("/rewriteTo/") && pathname !== "/session";
      const copies = pathname.includes("/rewriteTo/");
      const names = [searchParams.get("kmsKeyName"), searchParams.get("destinationKmsKeyName")];
      const expected = [makes ? KEY : null, copies ? KEY : null];
      return JSON.stringify(names) === JSON.stringify(expected) ? undefined : JSON.stringify(names);
    },
    (request, { searchParams, pathname, origin }) => {
      if (searchParams.get("uploadType") === "resumable") {
        return new Response("", { headers: { location: `${origin}/session` } });
      }
      const [, end, total] = /-(\d+)\/(.*)$/.exec(request.headers.get("content-range") ?? "") ?? [];
      if (total === "*") return new Response(null, { status: 308, headers: { range: `bytes=0-${end}` } });
      if (pathname.includes("/rewriteTo/")) return Response.json({ done: true, resource: { name: "k", size: "8" } });
      return searchParams.get("alt") === "media" ? new Response(null) : Response.json({ name: "k", size: "8" });
    },
    (endpoint) => ({ type: "gcs", endpoint, anonymous: true, bucket: "b", kms_key_name: KEY }),
    async (store) => {
      await store.put("whole", new Uint8Array(8));
      await store.put("large", large());
      await store.head("whole");
      await store.get("whole");
      assert.ok(await store.copyFrom(store, "whole", "copy"));
    },
  );
  assert.deepEqual(problems, []);
  assert.deepEqual(writes, ["POST multipart", "POST resumable", "PUT ", "PUT ", "POST "]);
});
