import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createGcsStore } from "../../../stores/objects/gcs.ts";

/** One upload session that fails as it is told to: `faults` are taken one by one, each by one PUT of bytes. */
class Sessions implements AsyncDisposable {
  bytes = new Uint8Array();
  done = false;
  cancelled = 0;
  readonly ranges: string[] = [];
  readonly #http: Deno.HttpServer<Deno.NetAddr>;

  constructor(readonly faults: ("503" | "half" | "lost" | "none")[]) {
    this.#http = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, (request) => this.#answer(request));
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.#http.addr.port}`;
  }

  async #answer(request: Request): Promise<Response> {
    if (request.method === "POST") {
      return new Response("", { headers: { location: `${this.endpoint}/session` } });
    }
    if (request.method === "DELETE") {
      this.cancelled++;
      return new Response("", { status: 499 });
    }
    const range = request.headers.get("content-range")!;
    this.ranges.push(range);
    const body = new Uint8Array(await request.arrayBuffer());
    const total = /\/(\d+)$/.exec(range)?.[1];
    if (range.startsWith("bytes */")) return this.#state();
    const fault = this.faults.shift() ?? "none";
    if (fault === "503") return new Response("busy", { status: 503 });
    const start = Number(/^bytes (\d+)-/.exec(range)![1]);
    assert.equal(start, this.bytes.length, "bytes begin where the session stands");
    const kept = fault === "half" ? body.subarray(0, 1024 ** 2) : body;
    const bytes = new Uint8Array(start + kept.length);
    bytes.set(this.bytes);
    bytes.set(kept, start);
    this.bytes = bytes;
    this.done = total !== undefined && bytes.length === Number(total);
    return fault === "lost" ? new Response("", { status: 500 }) : this.#state();
  }

  #state(): Response {
    if (this.done) {
      return Response.json({
        name: "k",
        size: String(this.bytes.length),
        md5Hash: createHash("md5").update(this.bytes).digest("base64"),
      });
    }
    const headers = new Headers(this.bytes.length === 0 ? [] : [["range", `bytes=0-${this.bytes.length - 1}`]]);
    return new Response(null, { status: 308, headers });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#http.shutdown();
  }
}

const PART = 1024 ** 2;
const PARTS = 40;

async function* body(): AsyncIterable<Uint8Array> {
  for (let i = 0; i < PARTS; i++) {
    yield new Uint8Array(PART).fill(i);
    await Promise.resolve();
  }
}

function storeOf(server: Pick<Sessions, "endpoint">) {
  return createGcsStore({
    endpoint: server.endpoint,
    bucket: "b",
    prefix: "",
    login: "anonymous",
    tls: { ca: undefined },
    maxConcurrency: 4,
  });
}

Deno.test("createGcsStore sends a chunk again from where the service has it: refused, kept in part, kept with a lost answer", async () => {
  await using server = new Sessions(["503", "half", "none", "lost", "lost"]);
  const store = storeOf(server);
  const info = await store.put("k", body());
  assert.equal(info.size, BigInt(PARTS * PART));
  assert.equal(server.bytes.length, PARTS * PART);
  for (let i = 0; i < PARTS; i++) assert.equal(server.bytes[i * PART + 17], i);
  assert.equal(server.cancelled, 0);
  await store.close();
});

Deno.test("createGcsStore gives up a stream that the service refuses again and again, and cancels its session", async () => {
  await using server = new Sessions(["none", "503", "503", "503", "503"]);
  const store = storeOf(server);
  await assert.rejects(store.put("k", body()), { code: "throttled" });
  assert.deepEqual([server.done, server.cancelled], [false, 1]);
  await store.close();
});

Deno.test("a stream that cannot be closed does not hide why its upload was refused", async () => {
  const refusing = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    () => Response.json({ error: { code: 403, message: "no right to write here" } }, { status: 403 }),
  );
  async function* stuck(): AsyncIterable<Uint8Array> {
    try {
      yield* body();
    } finally {
      // deno-lint-ignore no-unsafe-finally
      throw new Error("the source cannot be closed");
    }
  }
  const store = storeOf({ endpoint: `http://127.0.0.1:${refusing.addr.port}` });
  await assert.rejects(store.put("k", stuck()), { code: "authentication", message: /no right to write here/ });
  await store.close();
  await refusing.shutdown();
});
