import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { collect } from "../../../stores/objects/body.ts";
import type { Body } from "../../../stores/objects/body_reader.ts";
import { readBody, readChunks } from "../../../stores/objects/reading.ts";

const BYTES = Uint8Array.from({ length: 1_300_000 }, (_, i) => i * 31 + (i >> 9));

/** Pieces of 10 000 bytes, the last one smaller. */
function* pieces(): Iterable<Uint8Array<ArrayBuffer>> {
  for (let at = 0; at < BYTES.length; at += 10_000) yield BYTES.slice(at, at + 10_000);
}

/** The same body as an answer of the runtime's client, as a stream of the platform, and as node's. */
const BODIES: Readonly<Record<string, () => Body>> = {
  bytes() {
    const left = pieces()[Symbol.iterator]();
    return new ReadableStream({
      type: "bytes",
      pull(controller) {
        const { value, done } = left.next();
        if (!done) return controller.enqueue(value);
        controller.close();
        controller.byobRequest?.respond(0);
      },
    });
  },
  chunks: () => ReadableStream.from(pieces()),
  node: () => Readable.from(pieces()),
};

for (const [kind, open] of Object.entries(BODIES)) {
  Deno.test(`readChunks gathers what comes in small pieces (${kind}), to the byte`, async () => {
    for (const length of [BYTES.length, undefined]) {
      const chunks = await Array.fromAsync(readChunks(open(), length));
      // Three, and a few more where this process was kept waiting meanwhile.
      assert.ok(chunks.length < 13, `${chunks.length} chunks`);
      assert.deepEqual(await collect(ReadableStream.from(chunks)), BYTES);
    }
  });

  Deno.test(`readChunks and readBody refuse a body that is shorter or longer than was announced (${kind})`, async () => {
    assert.deepEqual(await readBody(open(), BYTES.length), BYTES);
    assert.deepEqual(await readBody(open(), undefined), BYTES);
    for (const length of [BYTES.length + 1, BYTES.length - 1, 0]) {
      const fails = { code: "ECONNRESET", message: new RegExp(` of ${length} bytes came$`) };
      await assert.rejects(Array.fromAsync(readChunks(open(), length)), fails);
      await assert.rejects(readBody(open(), length), fails);
    }
  });
}

Deno.test("readChunks and readBody end a body that stands still in its middle, not one whose reader takes its time", async () => {
  /** Ten bytes, and nothing ever after them. */
  const standing: readonly (() => Body)[] = [
    () => {
      const left = [BYTES.slice(0, 10)];
      return new ReadableStream({ type: "bytes", pull: (to) => left.splice(0).forEach((chunk) => to.enqueue(chunk)) });
    },
    () => {
      const left = [BYTES.slice(0, 10)];
      const node = new Readable({ read: () => left.splice(0).forEach((chunk) => node.push(chunk)) });
      return node;
    },
  ];
  const fails = { code: "ETIMEDOUT", message: /^Nothing came for 0\.05 s$/ };
  for (const body of standing) {
    await assert.rejects(Array.fromAsync(readChunks(body(), 20, undefined, 50)), fails);
    await assert.rejects(readBody(body(), 20, undefined, 50), fails);
  }

  let slowly = 0;
  for await (const chunk of readChunks(BODIES.bytes!(), BYTES.length, undefined, 50)) {
    await new Promise((resolve) => setTimeout(resolve, 120));
    slowly += chunk.length;
  }
  assert.equal(slowly, BYTES.length);
});

Deno.test("readChunks gives each chunk memory of its own, and ends a body that is left in its middle", async () => {
  const body = BODIES.node!() as Readable;
  for await (const chunk of readChunks(body, BYTES.length)) {
    chunk.fill(0);
    break;
  }
  assert.ok(body.destroyed);
  const chunks = readChunks(BODIES.bytes!(), BYTES.length)[Symbol.asyncIterator]();
  const first = (await chunks.next()).value as Uint8Array;
  const second = (await chunks.next()).value as Uint8Array;
  assert.deepEqual([...first.subarray(0, 9), ...second.subarray(0, 9)], [
    ...BYTES.subarray(0, 9),
    ...BYTES.subarray(first.length, first.length + 9),
  ]);
  await chunks.return?.();
});
