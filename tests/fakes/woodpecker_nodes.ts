/**
 * Woodpecker's own servers in memory, one segment of each log. A server has the entries that it was given, gives out those that
 * it was told to be acknowledged, and forgets that when it is restarted.
 */
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { TidemarkError } from "../../pipeline/errors.ts";
import { type NodeChannel, WoodpeckerNodes } from "../../sources/log/mod.ts";

const NO_ENTRY = 8102;
const END = 2310;

export class FakeNode implements NodeChannel {
  /** By number. */
  readonly entries = new Map<bigint, Uint8Array>();
  /** The last entry that it was told to be acknowledged; -1: none. */
  acknowledged = -1n;
  /** It says that the segment ends behind its last entry. */
  ended = false;
  up = true;
  /** Methods, in the order in which they were called; with `+state`, where an earlier answer's was sent back. */
  readonly calls: string[] = [];

  constructor(readonly address: string) {}

  give(entries: readonly Uint8Array[], first: bigint): void {
    entries.forEach((entry, i) => this.entries.set(first + BigInt(i), entry));
  }

  unary(path: string, body: Uint8Array): Promise<Uint8Array> {
    if (!this.up) return Promise.reject(new TidemarkError("unreachable", `${this.address} cannot be reached`));
    const ints = new Map<number, bigint>();
    let state = "";
    const reader = new BinaryReader(body);
    while (reader.pos < reader.len) {
      const [field, wire] = reader.tag();
      if (wire === WireType.Varint) ints.set(field, BigInt(reader.int64()));
      else if (field === 7 && reader.bytes().length > 0) state = "+state";
      else if (field !== 7) reader.skip(wire, field);
    }
    const method = path.split("/").at(-1)!;
    this.calls.push(`${method}${state}`);
    return Promise.resolve(
      method === "GetBatchEntriesAdv"
        ? this.#batch(ints.get(4) ?? 0n, ints.get(5) ?? 0n)
        : this.entries.size === 0
        ? status(NO_ENTRY)
        : status(0).tag(2, WireType.Varint).int64([...this.entries.keys()].reduce((max, n) => n > max ? n : max, -1n)),
    ).then((writer) => writer.finish());
  }

  #batch(segment: bigint, from: bigint): BinaryWriter {
    const result = new BinaryWriter();
    let found = false;
    // As the real ones: what comes behind a missing one is given, too.
    for (const [number, bytes] of [...this.entries].sort(([a], [b]) => a < b ? -1 : 1)) {
      if (number < from || number > this.acknowledged) continue;
      found = true;
      const entry = new BinaryWriter().tag(1, WireType.Varint).int64(segment).tag(2, WireType.Varint).int64(number)
        .tag(3, WireType.LengthDelimited).bytes(bytes);
      result.tag(1, WireType.LengthDelimited).bytes(entry.finish());
    }
    if (!found) return status(this.ended ? END : NO_ENTRY);
    result.tag(2, WireType.LengthDelimited).bytes(Uint8Array.of(8, 1));
    return status(0).tag(2, WireType.LengthDelimited).bytes(result.finish());
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

function status(code: number): BinaryWriter {
  const writer = new BinaryWriter();
  if (code !== 0) writer.tag(2, WireType.Varint).int32(code);
  return new BinaryWriter().tag(1, WireType.LengthDelimited).bytes(writer.finish());
}

export function nodesOf(nodes: readonly FakeNode[]): WoodpeckerNodes {
  return new WoodpeckerNodes({
    bucket: "a-bucket",
    open: (address) => Promise.resolve(nodes.find((node) => node.address === address)!),
  });
}
