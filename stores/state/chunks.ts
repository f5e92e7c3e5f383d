/**
 * Cuts a document into pieces whose borders depend on its content, so that a change in one place changes one or two of them:
 * etcd limits a request to 1.5 MB and keeps the history of every key, so a checkpoint must not write everything again.
 */

/** Every piece but the last has at least so many bytes. */
const SMALLEST = 16 * 1024;
/** No piece has more. */
const LARGEST = 512 * 1024;
/** A line ends a piece when so many low bits of its hash are zero: one line of 512. */
const BORDER_MASK = 0x1ff;

export interface Chunk {
  /** SHA-256 of the bytes, the first 24 hexadecimal digits. */
  readonly id: string;
  readonly bytes: Uint8Array;
}

/** The pieces in order; none for an empty document. */
export async function chunksOf(document: Uint8Array): Promise<Chunk[]> {
  const chunks: Chunk[] = [];
  for (const bytes of pieces(document)) chunks.push({ id: await chunkId(bytes), bytes });
  return chunks;
}

export async function chunkId(bytes: Uint8Array): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>));
  return digest.toHex().slice(0, 24);
}

function* pieces(document: Uint8Array): Generator<Uint8Array> {
  let start = 0;
  let hash = 0x811c9dc5;
  for (let at = 0; at < document.length; at++) {
    const byte = document[at]!;
    // FNV-1a over the line.
    hash = Math.imul(hash ^ byte, 0x01000193);
    const size = at + 1 - start;
    const border = byte === 0x0a && size >= SMALLEST && ((hash ^ (hash >>> 15)) & BORDER_MASK) === 0;
    if (byte === 0x0a) hash = 0x811c9dc5;
    if (border || size >= LARGEST) {
      yield document.subarray(start, at + 1);
      start = at + 1;
    }
  }
  if (start < document.length) yield document.subarray(start);
}
