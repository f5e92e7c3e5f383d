/** A stream cut into blocks of one size, for uploads in parts. */
import { createHash } from "node:crypto";
import { abortable } from "../../pipeline/abortable.ts";
import { TidemarkError } from "../../pipeline/errors.ts";
import { leave } from "../../pipeline/leave.ts";
import { formatSize } from "../../pipeline/units/mod.ts";
import type { UploadMemory } from "./upload_memory.ts";

export interface Block {
  /** The receiver's, alone: the beginning of memory that it gives back. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The stream ends with it. */
  readonly last: boolean;
  /** As {@link BlockOptions} asks for it. */
  readonly digest: Uint8Array<ArrayBuffer> | undefined;
}

export interface BlockOptions {
  readonly bytes: number;
  /** `bytes` are taken of it for each block, when its first byte is there; they are the receiver's to give back. */
  readonly memory: UploadMemory;
  readonly signal: AbortSignal | undefined;
  /** Of each block. Made of each chunk while it is in the processor's cache: to read a block again takes as long as the hashing. */
  readonly digest?: "sha256" | "md5";
  /** Is given the stream in the same way, in its order, ahead of the block that it is in. */
  readonly meter?: { update(bytes: Uint8Array): unknown };
}

/**
 * Every block has `bytes` bytes but the last, which has fewer, never none. Ends at once where the signal fires, also while the
 * stream hangs.
 */
export async function* blocksOf(
  body: AsyncIterable<Uint8Array>,
  { bytes, memory, signal, digest, meter }: BlockOptions,
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
  let held: Uint8Array<ArrayBuffer> | undefined;
  try {
    let chunk = await next();
    while (chunk !== undefined) {
      const block = held = await memory.take(bytes, signal);
      const hash = digest === undefined ? undefined : createHash(digest);
      let filled = 0;
      while (chunk !== undefined && filled < bytes) {
        const part = chunk.subarray(0, bytes - filled);
        block.set(part, filled);
        hash?.update(part);
        meter?.update(part);
        filled += part.length;
        chunk = part.length < chunk.length ? chunk.subarray(part.length) : await next();
      }
      held = undefined;
      const sum = hash === undefined ? undefined : new Uint8Array(hash.digest());
      yield { bytes: block.subarray(0, filled), last: chunk === undefined, digest: sum };
    }
  } finally {
    if (held !== undefined) memory.give(held, true);
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

/** The bytes of a block are another's when the promise is settled. */
export interface BlockSenders<T> {
  /** Of a stream of one block or none (which has no digest), which needs no upload in parts. */
  whole(block: Block): Promise<T>;
  /** Called in the order of the blocks. */
  block(block: Block, index: number): Promise<unknown>;
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
  /** `again`: the service has answered that it has the whole block. A request that failed may still read it somewhere. */
  const free = ({ bytes }: Block, again: boolean) => memory.give(new Uint8Array(bytes.buffer), again);
  const send = async (block: Block) => {
    while (sending.size >= atOnce) await Promise.race(sending);
    if (failed !== undefined) return free(block, true);
    const mine = senders.block(block, sent++)
      .then(() => free(block, true), (thrown) => {
        failed ??= { thrown };
        free(block, false);
      })
      .finally(() => sending.delete(mine));
    sending.add(mine);
  };
  const whole = async (block: Block) => {
    let done = false;
    try {
      const result = await senders.whole(block);
      done = true;
      return result;
    } finally {
      free(block, done);
    }
  };
  try {
    let any = false;
    for await (const block of blocksOf(body, options)) {
      if (block.last && !any) return await whole(block);
      any = true;
      if (sent < most) await send(block);
      else {
        free(block, true);
        throw tooLarge(size, most);
      }
      if (failed !== undefined) break;
    }
    if (!any) return await senders.whole({ bytes: new Uint8Array(), last: true, digest: undefined });
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
