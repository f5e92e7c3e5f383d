import assert from "node:assert/strict";
import fc from "fast-check";
import { blocksOf, sendBlocks } from "../../../stores/objects/blocks.ts";

Deno.test("blocksOf gives back the same bytes in blocks of one size, the last one smaller and never empty", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uint8Array({ maxLength: 40 })),
      fc.integer({ min: 1, max: 30 }),
      async (chunks, size) => {
        const blocks = await Array.fromAsync(blocksOf(
          (async function* () {
            yield* chunks;
          })(),
          size,
        ));
        assert.deepEqual(blocks.flatMap((block) => [...block]), chunks.flatMap((chunk) => [...chunk]));
        assert.ok(blocks.slice(0, -1).every((block) => block.length === size));
        const last = blocks.at(-1);
        assert.ok(last === undefined || (last.length > 0 && last.length <= size));
      },
    ),
  );
});

Deno.test("sendBlocks sends in order, a few at once, and gives back what is no more than one block", async () => {
  let [open, most] = [0, 0];
  const sent: [number, number][] = [];
  const send = async (block: Uint8Array, index: number) => {
    most = Math.max(most, ++open);
    sent.push([index, block.length]);
    await Promise.resolve();
    open--;
  };
  const body = async function* (chunks: number) {
    for (let i = 0; i < chunks; i++) yield new Uint8Array(3);
  };
  const options = { bytes: 4, atOnce: 2, most: 100, signal: undefined };
  assert.equal(await sendBlocks(body(3), options, send), undefined);
  assert.deepEqual(sent, [[0, 4], [1, 4], [2, 1]]);
  assert.ok(most <= 2);
  assert.equal((await sendBlocks(body(1), options, send))?.length, 3);
  assert.equal((await sendBlocks(body(0), options, send))?.length, 0);
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
  const send = async (_: Uint8Array, index: number) => {
    open++;
    await Promise.resolve();
    open--;
    if (index === 3) throw new Error("the server broke");
  };
  await assert.rejects(
    sendBlocks(body(), { bytes: 4, atOnce: 3, most: 100, signal: undefined }, send),
    /the server broke/,
  );
  assert.deepEqual([open, closed], [0, true]);
});

Deno.test("sendBlocks throws the first failure, whatever fails afterwards: the stream, or its end", async () => {
  const broken = Promise.withResolvers<void>();
  const send = async (_: Uint8Array, index: number) => {
    if (index > 0) return;
    broken.resolve();
    await Promise.resolve();
    throw new Error("the server broke");
  };
  const options = { bytes: 4, atOnce: 2, most: 100, signal: undefined };
  async function* second() {
    yield new Uint8Array(8);
    await broken.promise;
    await new Promise((resolve) => setTimeout(resolve, 0));
    throw new Error("the source broke, too");
  }
  await assert.rejects(sendBlocks(second(), options, send), /the server broke/);
  async function* stuck() {
    try {
      for (;;) yield new Uint8Array(4);
    } finally {
      // deno-lint-ignore no-unsafe-finally
      throw new Error("the source cannot be closed");
    }
  }
  await assert.rejects(sendBlocks(stuck(), options, send), /the server broke/);
  async function* first() {
    yield new Uint8Array(8);
    throw new Error("the source broke");
  }
  await assert.rejects(sendBlocks(first(), options, () => Promise.resolve()), /the source broke/);
});
