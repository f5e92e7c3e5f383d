/** A stream cut into blocks of one size, for uploads in parts. */
import { abortable } from "../../pipeline/abortable.ts";
import { TidemarkError } from "../../pipeline/errors.ts";
import { leave } from "../../pipeline/leave.ts";
import { formatSize } from "../../pipeline/units/mod.ts";

/** Every block has `bytes` bytes but the last, which has fewer, never none. Blocks are the caller's to keep. */
export async function* blocksOf(
  body: AsyncIterable<Uint8Array>,
  bytes: number,
  signal?: AbortSignal,
): AsyncIterable<Uint8Array<ArrayBuffer>> {
  let block = new Uint8Array(bytes);
  let filled = 0;
  for await (const chunk of body) {
    signal?.throwIfAborted();
    for (let offset = 0; offset < chunk.length;) {
      const part = chunk.subarray(offset, offset + bytes - filled);
      block.set(part, filled);
      filled += part.length;
      offset += part.length;
      if (filled < bytes) continue;
      yield block;
      block = new Uint8Array(bytes);
      filled = 0;
    }
  }
  signal?.throwIfAborted();
  if (filled > 0) yield block.subarray(0, filled);
}

export interface SendOptions {
  readonly bytes: number;
  readonly atOnce: number;
  /** Blocks that the service takes of one object. */
  readonly most: number;
  readonly signal: AbortSignal | undefined;
}

/**
 * Sends a stream in blocks, `atOnce` at a time, so that as many and one are in memory. `send` is called in order. A stream
 * of one block or none is not sent but returned: it needs no upload in parts. Throws the first failure, of the stream or of
 * `send`, when nothing is under way any more; `refused` for a stream of more than `most` blocks.
 */
export async function sendBlocks(
  body: AsyncIterable<Uint8Array>,
  { bytes, atOnce, most, signal }: SendOptions,
  send: (block: Uint8Array<ArrayBuffer>, index: number) => Promise<unknown>,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const blocks = blocksOf(body, bytes, signal)[Symbol.asyncIterator]();
  const sending = new Set<Promise<unknown>>();
  let coming = false;
  const next = async () => {
    coming = true;
    const block = await abortable(blocks.next(), signal);
    coming = false;
    return block;
  };
  let failed: { readonly thrown: unknown } | undefined;
  let sent = 0;
  const begin = async (block: Uint8Array<ArrayBuffer>) => {
    if (sent >= most) throw tooLarge(bytes, most);
    while (sending.size >= atOnce) await Promise.race(sending);
    if (failed !== undefined) return;
    const mine: Promise<unknown> = send(block, sent++)
      .catch((thrown) => void (failed ??= { thrown }))
      .finally(() => sending.delete(mine));
    sending.add(mine);
  };
  try {
    const first = await next();
    if (first.done) return new Uint8Array();
    let block = await next();
    if (block.done) return first.value;
    await begin(first.value);
    for (; !block.done && failed === undefined; block = await next()) await begin(block.value);
  } catch (thrown) {
    failed ??= { thrown };
  } finally {
    await Promise.all(sending);
    const left = leave(blocks);
    // A source that hangs must not keep a stop from being one.
    if (!coming || signal?.aborted !== true) await left;
  }
  if (failed !== undefined) throw (failed as { readonly thrown: unknown }).thrown;
  signal?.throwIfAborted();
  return undefined;
}

function tooLarge(bytes: number, most: number): TidemarkError {
  const limit = formatSize(bytes * most);
  return new TidemarkError("refused", `An object is larger than ${limit}, which the store takes in ${most} parts`, {
    hint: "Keep it in a folder (type: file), or copy it there by the service's own tools.",
  });
}
