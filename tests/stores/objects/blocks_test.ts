import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fc from "fast-check";
import { type Block, blocksOf, sendBlocks } from "../../../stores/objects/blocks.ts";
import { createUploadMemory } from "../../../stores/objects/upload_memory.ts";

const inBlocks = (block: (block: Block, index: number) => Promise<unknown>) => ({
  block,
  whole: () => assert.fail("It was sent whole"),
});

Deno.test("blocksOf gives back the same bytes in blocks of one size, the last one smaller and never empty", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uint8Array({ maxLength: 40 })),
      fc.integer({ min: 1, max: 30 }),
      async (chunks, size) => {
        const meter = createHash("sha256");
        const blocks = await Array.fromAsync(blocksOf(
          (async function* () {
            yield* chunks;
          })(),
          { bytes: size, memory: createUploadMemory(), signal: undefined, digest: "md5", meter },
        ));
        const sum = (algorithm: string, bytes: Uint8Array) => createHash(algorithm).update(bytes).digest("hex");
        for (const { bytes, digest } of blocks) assert.equal(digest!.toHex(), sum("md5", bytes));
        assert.equal(meter.digest("hex"), sum("sha256", Uint8Array.from(chunks.flatMap((chunk) => [...chunk]))));
        assert.ok(blocks.every(({ last }, i) => last === (i === blocks.length - 1)));
        const sizes = blocks.map(({ bytes }) => bytes.length);
        assert.deepEqual(blocks.flatMap(({ bytes }) => [...bytes]), chunks.flatMap((chunk) => [...chunk]));
        assert.ok(sizes.slice(0, -1).every((length) => length === size));
        const last = sizes.at(-1);
        assert.ok(last === undefined || (last > 0 && last <= size));
      },
    ),
  );
});

Deno.test("sendBlocks sends in order, a few at once, and gives back what is no more than one block", async () => {
  let [open, most] = [0, 0];
  const sent: [number, number][] = [];
  const send = async ({ bytes }: Block, index: number) => {
    most = Math.max(most, ++open);
    sent.push([index, bytes.length]);
    await Promise.resolve();
    open--;
  };
  const body = async function* (chunks: number) {
    for (let i = 0; i < chunks; i++) yield new Uint8Array(3);
  };
  const options = { bytes: 4, atOnce: 2, most: 100, memory: createUploadMemory(), signal: undefined };
  const senders = { block: send, whole: ({ bytes }: Block) => Promise.resolve(bytes.length) };
  assert.equal(await sendBlocks(body(3), options, senders), undefined);
  assert.deepEqual(sent, [[0, 4], [1, 4], [2, 1]]);
  assert.ok(most <= 2);
  assert.equal(await sendBlocks(body(1), options, senders), 3);
  assert.equal(await sendBlocks(body(0), options, senders), 0);
  assert.equal(sent.length, 3);
});

Deno.test("sendBlocks ends with the first failure, when nothing is under way any more, and closes the stream", async () => {
  let [open, closed] = [0, false];
  const body = async function* () {
    try {
      for (;;) yield new Uint8Array(4);
    } finally {
      closed = true;
    }
  };
  const send = async (_: Block, index: number) => {
    open++;
    await Promise.resolve();
    open--;
    if (index === 3) throw new Error("the server broke");
  };
  await assert.rejects(
    sendBlocks(
      body(),
      { bytes: 4, atOnce: 3, most: 100, memory: createUploadMemory(), signal: undefined },
      inBlocks(send),
    ),
    /the server broke/,
  );
  assert.deepEqual([open, closed], [0, true]);
});

Deno.test("sendBlocks throws the first failure, whatever fails afterwards: the stream, or its end", async () => {
  const broken = Promise.withResolvers<void>();
  const send = async (_: Block, index: number) => {
    if (index > 0) return;
    broken.resolve();
    await Promise.resolve();
    throw new Error("the server broke");
  };
  const options = { bytes: 4, atOnce: 2, most: 100, memory: createUploadMemory(), signal: undefined };
  async function* second() {
    yield new Uint8Array(8);
    await broken.promise;
    await new Promise((resolve) => setTimeout(resolve, 0));
    throw new Error("the source broke, too");
  }
  await assert.rejects(sendBlocks(second(), options, inBlocks(send)), /the server broke/);
  async function* stuck() {
    try {
      for (;;) yield new Uint8Array(4);
    } finally {
      // deno-lint-ignore no-unsafe-finally
      throw new Error("the source cannot be closed");
    }
  }
  await assert.rejects(sendBlocks(stuck(), options, inBlocks(send)), /the server broke/);
  async function* first() {
    yield new Uint8Array(8);
    throw new Error("the source broke");
  }
  await assert.rejects(sendBlocks(first(), options, inBlocks(() => Promise.resolve())), /the source broke/);
});

Deno.test("sendBlocks fills memory again only when the service has what was in it", async () => {
  const memory = createUploadMemory();
  const options = { bytes: 4, atOnce: 1, most: 100, memory, signal: undefined };
  // Something is under way meanwhile: nothing is let go of for that there is no more.
  await memory.take(4);
  const body = async function* () {
    for (let i = 0; i < 5; i++) yield new Uint8Array(4).fill(i);
  };
  const taken = new Set<ArrayBuffer>();
  await sendBlocks(
    body(),
    options,
    inBlocks(async ({ bytes }, index) => {
      taken.add(bytes.buffer);
      for (let turn = 0; turn < 20; turn++) await Promise.resolve();
      assert.deepEqual([...bytes], Array(4).fill(index));
    }),
  );
  assert.equal(taken.size, 2);
  const failed = new Set<ArrayBuffer>();
  const refuse = ({ bytes }: Block) => (failed.add(bytes.buffer), Promise.reject(new Error("refused")));
  await assert.rejects(sendBlocks(body(), options, inBlocks(refuse)), /refused/);
  assert.deepEqual([...failed].map(({ byteLength }) => byteLength), [0]);
});
