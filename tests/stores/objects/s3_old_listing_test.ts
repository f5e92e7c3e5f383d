import assert from "node:assert/strict";
import { objectStoreSpec, openObjectStore } from "../../../stores/mod.ts";

type Manner = "refuses the second version" | "takes it for the first";

const KEYS = Array.from({ length: 23 }, (_, i) => `f${String(i % 7)}/${String(i).padStart(3, "0")}`).sort();
const PAGE = 4;

/** A server that knows the first version of the listing only. */
function oldServer(manner: Manner): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, (request) => {
    const query = new URL(request.url).searchParams;
    const xml = (text: string, status = 200) =>
      new Response(`<?xml version="1.0"?>${text}`, { status, headers: { "content-type": "application/xml" } });
    if (query.has("list-type") && manner === "refuses the second version") {
      return xml("<Error><Code>NotImplemented</Code><Message>list-type</Message></Error>", 501);
    }
    const [prefix, delimiter, marker] = ["prefix", "delimiter", "marker"].map((name) => query.get(name) ?? "");
    const names = [
      ...new Set(
        KEYS.filter((key) => key.startsWith(prefix!)).map((key) => {
          const at = delimiter === "" ? -1 : key.indexOf(delimiter!, prefix!.length);
          return at < 0 ? key : key.slice(0, at + 1);
        }),
      ),
    ].filter((name) => name > marker!);
    const page = names.slice(0, PAGE);
    const entries = page.map((name) =>
      name.endsWith("/")
        ? `<CommonPrefixes><Prefix>${name}</Prefix></CommonPrefixes>`
        : `<Contents><Key>${name}</Key><Size>1</Size><ETag>"e"</ETag></Contents>`
    );
    // As S3 does, the first version gives a marker only with a delimiter.
    const next = delimiter !== "" && names.length > PAGE ? `<NextMarker>${page.at(-1)}</NextMarker>` : "";
    return xml(
      `<ListBucketResult><IsTruncated>${names.length > PAGE}</IsTruncated>${next}${
        entries.join("")
      }</ListBucketResult>`,
    );
  });
}

for (const manner of ["refuses the second version", "takes it for the first"] as const) {
  Deno.test(`createS3Store lists everything of a server that ${manner}`, async () => {
    const server = oldServer(manner);
    const store = await openObjectStore(objectStoreSpec.parse({
      type: "s3",
      endpoint: `http://127.0.0.1:${server.addr.port}`,
      bucket: "b",
      access_key_id: "id",
      secret_access_key: "secret",
    }));
    assert.deepEqual((await Array.fromAsync(store.list(""))).map(({ key }) => key), KEYS);
    assert.deepEqual(
      (await Array.fromAsync(store.list("f3/"))).map(({ key }) => key),
      KEYS.filter((key) => key.startsWith("f3/")),
    );
    assert.deepEqual(await store.folders(""), ["f0", "f1", "f2", "f3", "f4", "f5", "f6"]);
    await store.close();
    await server.shutdown();
  });
}
