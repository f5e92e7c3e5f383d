/**
 * Writes logs as Woodpecker does, formats 5 and 6, into an object store and keys of etcd, one step at a time: blocks, rolls,
 * fences, compactions, truncations, removals.
 */
import { crc32 } from "node:zlib";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { ObjectStore } from "../../pipeline/model/mod.ts";

/** What is done with the keys of etcd. */
export interface KeyWriter {
  put(key: string, value: Uint8Array | string): void;
  delete(key: string): void;
}

/** Of an entry. */
export type Written = readonly [segment: bigint, entry: bigint];

export interface Message {
  readonly value: Uint8Array;
  readonly headers?: Readonly<Record<string, Uint8Array>>;
}

interface Segment {
  readonly blocks: Uint8Array[][];
  state: 0 | 2 | 3 | 4;
  lastEntry: bigint;
}

interface Log {
  readonly id: number;
  readonly segments: Map<number, Segment>;
  truncated: readonly [segment: bigint, entry: bigint];
}

/** The servers that have a segment, and how many of them must have an entry. */
export interface Quorum {
  readonly nodes: readonly string[];
  readonly acks: number;
}

const EMBEDDED: Quorum = { nodes: ["127.0.0.1:59456"], acks: 1 };

const BLOCK_ENTRIES = 5;

export class WoodpeckerWriter {
  readonly #store: ObjectStore;
  readonly #keys: KeyWriter;
  readonly #prefix: string;
  readonly #root: string;
  readonly #version: 5 | 6;
  readonly #quorum: Quorum;
  readonly #logs = new Map<string, Log>();
  #lastId = 0;

  constructor(
    store: ObjectStore,
    keys: KeyWriter,
    { prefix = "woodpecker", root = "files/wp", version = 6 as 5 | 6, quorum = EMBEDDED } = {},
  ) {
    this.#store = store;
    this.#keys = keys;
    this.#prefix = prefix;
    this.#root = root;
    this.#version = version;
    this.#quorum = quorum;
    keys.put(`${prefix}/instance`, "d9f7b2aa-0000-4000-8000-000000000001");
  }

  /** Its first segment comes with what is first appended. */
  create(log: string): void {
    this.#logs.set(log, { id: ++this.#lastId, segments: new Map(), truncated: [-1n, -1n] });
    this.#putLog(log);
  }

  delete(log: string): void {
    for (const segment of this.#log(log).segments.keys()) this.#keys.delete(this.#segmentKey(log, segment));
    this.#keys.delete(`${this.#prefix}/logs/${log}`);
    this.#logs.delete(log);
  }

  /** The next segment. Returns its number. */
  begin(log: string): number {
    const { segments } = this.#log(log);
    const segment = Math.max(-1, ...segments.keys()) + 1;
    segments.set(segment, { blocks: [], state: 0, lastEntry: -1n });
    this.#putSegment(log, segment);
    return segment;
  }

  /** One block in the log's last segment, or in `segment`. */
  async append(log: string, messages: readonly Message[], segment?: number): Promise<void> {
    segment ??= this.#log(log).segments.size === 0 ? this.begin(log) : this.last(log);
    const own = this.#segment(log, segment);
    const entries = messages.map(layoutOf);
    const bytes = blockBytes(own.blocks.length, BigInt(own.blocks.flat().length), entries, this.#version, false);
    await this.put(log, segment, `${own.blocks.length}.blk`, bytes);
    own.blocks.push(entries);
  }

  /** As a node does: in blocks of up to five, in segments of `entries`, of which some are fenced and some compacted. Returns where. */
  async write(log: string, messages: readonly Message[], entries: number): Promise<Written[]> {
    const written: Written[] = [];
    if (this.#log(log).segments.size === 0) this.begin(log);
    for (let at = 0; at < messages.length;) {
      let held = this.#segment(log, this.last(log)).blocks.flat().length;
      if (held === entries) {
        await this.roll(log);
        held = 0;
      }
      const part = messages.slice(at, at + Math.min(BLOCK_ENTRIES, entries - held));
      await this.append(log, part);
      part.forEach((_, i) => written.push([BigInt(this.last(log)), BigInt(held + i)]));
      at += part.length;
    }
    return written;
  }

  /** Goes on in the next segment, whatever the last one has. */
  async roll(log: string): Promise<void> {
    const full = this.last(log);
    this.begin(log);
    if (full % 2 === 0) await this.fence(log, full);
    this.complete(log, full);
    if (full % 3 === 0) await this.compact(log, full, 2);
  }

  /** Something was written to it. */
  begun(log: string): boolean {
    return this.#log(log).segments.size > 0;
  }

  last(log: string): number {
    return Math.max(...this.#log(log).segments.keys());
  }

  async fence(log: string, segment = this.last(log)): Promise<void> {
    await this.put(log, segment, `${this.#segment(log, segment).blocks.length}.blk`, Uint8Array.of(0x46));
  }

  /** etcd says from now on where the segment ends. */
  complete(log: string, segment = this.last(log), lastEntry?: bigint): void {
    const own = this.#segment(log, segment);
    own.state = 2;
    own.lastEntry = lastEntry ?? BigInt(own.blocks.flat().length) - 1n;
    this.#putSegment(log, segment);
  }

  async writeFooter(log: string, segment = this.last(log)): Promise<void> {
    await this.put(log, segment, "footer.blk", footerBytes(this.#segment(log, segment).blocks, this.#version, false));
  }

  /** The steps of a compaction, in Woodpecker's order; `at` is called between them. */
  async compact(
    log: string,
    segment = this.last(log),
    mergedBlocks = 1,
    at: (step: string) => Promise<void> = () => Promise.resolve(),
  ): Promise<void> {
    const own = this.#segment(log, segment);
    const all = own.blocks.flat();
    const size = Math.max(1, Math.ceil(all.length / mergedBlocks));
    const merged = Array.from({ length: Math.ceil(all.length / size) }, (_, i) => all.slice(i * size, (i + 1) * size));
    let first = 0n;
    for (const [i, entries] of merged.entries()) {
      await this.put(log, segment, `m_${i}.blk`, blockBytes(i, first, entries, this.#version, true));
      first += BigInt(entries.length);
    }
    await at("merged");
    await this.put(log, segment, "footer.blk", footerBytes(merged, this.#version, true));
    await at("footer");
    for (const i of own.blocks.keys()) {
      await this.#store.delete([`${this.#folder(log, segment)}/${i}.blk`]);
      await at("original");
    }
    own.state = 3;
    this.#putSegment(log, segment);
    await at("sealed");
  }

  /** Marks what lies before `segment`; it can be read until it is removed. */
  truncate(log: string, segment: number): void {
    const own = this.#log(log);
    own.truncated = [BigInt(segment), 0n];
    this.#putLog(log);
    for (const [number, { state }] of own.segments) {
      if (number >= segment || state === 4) continue;
      own.segments.get(number)!.state = 4;
      this.#putSegment(log, number);
    }
  }

  async remove(log: string, segment: number): Promise<void> {
    const { id, segments } = this.#log(log);
    const key = `${this.#prefix}/cleaning/${id}/${segment}`;
    this.#keys.put(key, Uint8Array.of());
    const objects = await Array.fromAsync(this.#store.list(`${this.#folder(log, segment)}/`));
    await this.#store.delete(objects.map((object) => object.key));
    this.#keys.delete(this.#segmentKey(log, segment));
    this.#keys.delete(key);
    segments.delete(segment);
  }

  async put(log: string, segment: number, name: string, bytes: Uint8Array): Promise<void> {
    await this.#store.put(`${this.#folder(log, segment)}/${name}`, bytes);
  }

  #log(log: string): Log {
    const own = this.#logs.get(log);
    if (own === undefined) throw new Error(`There is no log ${log}`);
    return own;
  }

  #segment(log: string, segment: number): Segment {
    const own = this.#log(log).segments.get(segment);
    if (own === undefined) throw new Error(`There is no segment ${segment} of ${log}`);
    return own;
  }

  #folder(log: string, segment: number): string {
    return `${this.#root}/${this.#log(log).id}/${segment}`;
  }

  #segmentKey(log: string, segment: number): string {
    return `${this.#prefix}/logs/${log}/segments/${segment}`;
  }

  #putLog(log: string): void {
    const { id, truncated } = this.#log(log);
    const value = new BinaryWriter().tag(1, WireType.Varint).int64(BigInt(id))
      .tag(8, WireType.Varint).int64(truncated[0]).tag(9, WireType.Varint).int64(truncated[1]).finish();
    this.#keys.put(`${this.#prefix}/logs/${log}`, value);
  }

  /** Zeros are left out, as proto3 does. */
  #putSegment(log: string, segment: number): void {
    const { state, lastEntry } = this.#segment(log, segment);
    const writer = new BinaryWriter();
    const ints: [number, bigint][] = [[1, BigInt(segment)], [4, BigInt(state)], [6, state === 0 ? -1n : lastEntry]];
    for (const [field, value] of ints) if (value !== 0n) writer.tag(field, WireType.Varint).int64(value);
    const quorum = new BinaryWriter().tag(4, WireType.Varint).int32(this.#quorum.acks);
    for (const node of this.#quorum.nodes) quorum.tag(5, WireType.LengthDelimited).string(node);
    writer.tag(9, WireType.LengthDelimited).bytes(quorum.finish());
    this.#keys.put(this.#segmentKey(log, segment), writer.finish());
  }
}

export function layoutOf({ value, headers = {} }: Message): Uint8Array {
  const writer = new BinaryWriter();
  if (value.length > 0) writer.tag(1, WireType.LengthDelimited).bytes(value);
  for (const [name, content] of Object.entries(headers)) {
    const property = new BinaryWriter().tag(1, WireType.LengthDelimited).string(name);
    if (content.length > 0) property.tag(2, WireType.LengthDelimited).bytes(content);
    writer.tag(2, WireType.LengthDelimited).bytes(property.finish());
  }
  return writer.finish();
}

export function frame(type: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(9 + payload.length);
  const view = new DataView(bytes.buffer);
  bytes[4] = type;
  view.setUint32(5, payload.length, true);
  bytes.set(payload, 9);
  view.setUint32(0, crc32(bytes.subarray(4)), true);
  return bytes;
}

export function blockBytes(
  block: number,
  first: bigint,
  entries: readonly Uint8Array[],
  version: number,
  compacted: boolean,
): Uint8Array {
  const data = joined(entries.map((entry) => frame(2, entry)));
  const head = new DataView(new ArrayBuffer(28));
  head.setInt32(0, block, true);
  head.setBigInt64(4, first, true);
  head.setBigInt64(12, first + BigInt(entries.length) - 1n, true);
  head.setUint32(20, data.length, true);
  head.setUint32(24, crc32(data), true);
  const header = new DataView(new ArrayBuffer(16));
  header.setUint16(0, version, true);
  header.setUint16(2, compacted ? 1 : 0, true);
  header.setBigInt64(4, first, true);
  header.setUint32(12, 0x01524448, true);
  const front = block === 0 ? [frame(1, new Uint8Array(header.buffer))] : [];
  return joined([...front, frame(5, new Uint8Array(head.buffer)), data]);
}

export function footerBytes(
  blocks: readonly (readonly Uint8Array[])[],
  version: number,
  compacted: boolean,
): Uint8Array {
  let first = 0n;
  const index = blocks.map((entries, i) => {
    const view = new DataView(new ArrayBuffer(32));
    view.setInt32(0, i, true);
    view.setBigInt64(4, BigInt(i), true);
    view.setUint32(12, blockBytes(i, first, entries, version, compacted).length, true);
    view.setBigInt64(16, first, true);
    view.setBigInt64(24, first + BigInt(entries.length) - 1n, true);
    first += BigInt(entries.length);
    return frame(3, new Uint8Array(view.buffer));
  });
  const view = new DataView(new ArrayBuffer(version === 6 ? 44 : 36));
  view.setInt32(0, blocks.length, true);
  view.setUint32(24, index.length * 41, true);
  view.setUint16(28, version, true);
  view.setUint16(30, compacted ? 1 : 0, true);
  view.setUint32(32, 0x01525446, true);
  if (version === 6) view.setBigInt64(36, first - 1n, true);
  return joined([...index, frame(4, new Uint8Array(view.buffer))]);
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
