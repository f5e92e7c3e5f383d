/** A stream cut into blocks of one size, for uploads in parts. */
import { abortable } from "../../pipeline/abortable.ts";
import { TidemarkError } from "../../pipeline/errors.ts";
import { leave } from "../../pipeline/leave.ts";
import { formatSize } from "../../pipeline/units/mod.ts";
import type { UploadMemory } from "./upload_memory.ts";

export interface Block {
  /** The receiver's, alone. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The stream ends with it. */
  readonly last: boolean;
}

export interface BlockOptions {
  readonly bytes: number;
  /** `bytes` are taken of it for each block, when its first byte is there; they are the receiver's to give back. */
  readonly memory: UploadMemory;
  readonly signal: AbortSignal | undefined;
}

/**
 * Every block has `bytes` bytes but the last, which has fewer, never none. Ends at once where the signal fires, also while the
 * stream hangs.
 */
export async function* blocksOf(
  body: AsyncIterable<Uint8Array>,
  { bytes, memory, signal }: BlockOptions,
): AsyncIterable<Block> {
  const chunks = body[Symbol.asyncIterator]();
  let coming = false;
  /** The next chunk with something in it; undefined at the end. */
  const next = async (): Promise<Uint8Array | undefined> => {
    for (;;) {
      signal?.throwIfAborted();
      coming = true;
      const found = await abortable(chunks.next(), signal);
      coming = false;
      if (found.done) return undefined;
      if (found.value.length > 0) return found.value;
    }
  };
  let held = 0;
  try {
    let chunk = await next();
    while (chunk !== undefined) {
      await memory.take(bytes, signal);
      held = bytes;
      const block = new Uint8Array(bytes);
      let filled = 0;
      while (chunk !== undefined && filled < bytes) {
        const part = chunk.subarray(0, bytes - filled);
        block.set(part, filled);
        filled += part.length;
        chunk = part.length < chunk.length ? chunk.subarray(part.length) : await next();
      }
      held = 0;
      yield { bytes: block.subarray(0, filled), last: chunk === undefined };
    }
  } finally {
    if (held > 0) memory.give(held);
    const left = leave(chunks);
    // A source that hangs must not keep a stop from being one.
    if (!coming || signal?.aborted !== true) await left;
  }
}

export interface SendOptions extends BlockOptions {
  readonly atOnce: number;
  /** Blocks that the service takes of one object. */
  readonly most: number;
}

/** The bytes are gone when the promise is settled. */
export interface BlockSenders<T> {
  /** Of a stream of one block or none, which needs no upload in parts. */
  whole(bytes: Uint8Array<ArrayBuffer>): Promise<T>;
  /** Called in the order of the blocks. */
  block(bytes: Uint8Array<ArrayBuffer>, index: number, last: boolean): Promise<unknown>;
}

/**
 * Sends a stream: whole, of which it gives back the result, or in blocks, `atOnce` at a time while the next is filled, as far as
 * there is memory. Throws the first failure, of the stream or of a sender, when nothing is under way any more; `refused` for a
 * stream of more than `most` blocks.
 */
export async function sendBlocks<T>(
  body: AsyncIterable<Uint8Array>,
  options: SendOptions,
  senders: BlockSenders<T>,
): Promise<T | undefined> {
  const { bytes: size, memory, atOnce, most, signal } = options;
  const sending = new Set<Promise<unknown>>();
  let failed: { readonly thrown: unknown } | undefined;
  let sent = 0;
  const free = (bytes: Uint8Array<ArrayBuffer>) => {
    // At once: garbage of blocks grows to as much again before it is collected.
    bytes.buffer.transfer(0);
    memory.give(size);
  };
  const send = async ({ bytes, last }: Block) => {
    while (sending.size >= atOnce) await Promise.race(sending);
    if (failed !== undefined) return free(bytes);
    const mine: Promise<unknown> = senders.block(bytes, sent++, last)
      .catch((thrown) => void (failed ??= { thrown }))
      .finally(() => {
        free(bytes);
        sending.delete(mine);
      });
    sending.add(mine);
  };
  const whole = async ({ bytes }: Block) => {
    try {
      return await senders.whole(bytes);
    } finally {
      free(bytes);
    }
  };
  try {
    let any = false;
    for await (const block of blocksOf(body, options)) {
      if (block.last && !any) return await whole(block);
      any = true;
      if (sent < most) await send(block);
      else {
        free(block.bytes);
        throw tooLarge(size, most);
      }
      if (failed !== undefined) break;
    }
    if (!any) return await senders.whole(new Uint8Array());
  } catch (thrown) {
    failed ??= { thrown };
  } finally {
    await Promise.all(sending);
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
