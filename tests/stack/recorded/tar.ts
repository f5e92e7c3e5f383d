/** Files of a `.tar.zst` in memory: plain files with short names, which is all that recordings are made of. */
import { zstdDecompressSync } from "node:zlib";

const BLOCK = 512;
const FILE = new Set(["0", "\0", ""]);

/** Path inside the archive -> content. Throws for an archive that is cut off. */
export function readTarZst(bytes: Uint8Array): Map<string, Uint8Array> {
  const tar = new Uint8Array(zstdDecompressSync(bytes));
  const files = new Map<string, Uint8Array>();
  let longName: string | undefined;
  for (let at = 0; at + BLOCK <= tar.length && tar[at] !== 0;) {
    const header = tar.subarray(at, at + BLOCK);
    const size = parseInt(text(header, 124, 12), 8);
    const type = text(header, 156, 1);
    const content = tar.subarray(at + BLOCK, at + BLOCK + size);
    if (content.length < size) throw new Error(`The archive ends in the middle of ${text(header, 0, 100)}`);
    const prefix = text(header, 345, 155);
    const name = longName ?? (prefix === "" ? text(header, 0, 100) : `${prefix}/${text(header, 0, 100)}`);
    longName = type === "L" ? text(content, 0, size) : undefined;
    if (FILE.has(type)) files.set(name, content);
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
  }
  return files;
}

function text(bytes: Uint8Array, from: number, length: number): string {
  const field = bytes.subarray(from, from + length);
  const end = field.indexOf(0);
  return new TextDecoder().decode(end < 0 ? field : field.subarray(0, end)).trim();
}
