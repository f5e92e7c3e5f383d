/** Woodpecker's keys in etcd below its prefix, and the protobuf messages in them (package woodpecker.proto.meta). */
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { TidemarkError } from "../../../pipeline/errors.ts";

/** Of all of 2.6, whatever `woodpecker.meta.prefix` says; a cluster that was upgraded keeps it. */
export const OLD_PREFIX = "woodpecker";

export const SEGMENT_STATES = ["active", "unused", "completed", "sealed", "truncated"] as const;
export type SegmentState = typeof SEGMENT_STATES[number];

export interface LogMeta {
  readonly id: bigint;
  /** The last place that may be removed; undefined: never truncated. */
  readonly truncated: { readonly segment: bigint; readonly entry: bigint } | undefined;
}

export interface SegmentMeta {
  readonly segment: bigint;
  readonly state: SegmentState;
  /** Of the last entry; -1 while it is active, and of one that ended empty. */
  readonly lastEntry: bigint;
  /** Whom to ask in service mode; a placeholder where the writer is embedded. */
  readonly nodes: readonly string[];
  /** How many of them have an entry before it counts as written. */
  readonly acks: number;
}

export type WoodpeckerKey =
  | { readonly kind: "instance" }
  | { readonly kind: "log"; readonly log: string }
  | { readonly kind: "segment"; readonly log: string; readonly segment: bigint }
  | { readonly kind: "cleaning"; readonly logId: bigint; readonly segment: bigint };

/** `key`: below the prefix. Undefined for one that says nothing to a reader. */
export function parseKey(key: string): WoodpeckerKey | undefined {
  if (key === "instance") return { kind: "instance" };
  const cleaning = /^cleaning\/(\d+)\/(\d+)$/.exec(key);
  if (cleaning !== null) return { kind: "cleaning", logId: BigInt(cleaning[1]!), segment: BigInt(cleaning[2]!) };
  if (!key.startsWith("logs/")) return undefined;
  const rest = key.slice("logs/".length);
  // Locks of writers lie here, too. Names of logs have no slash.
  const segment = /^([^/]+)\/segments\/(\d+)$/.exec(rest);
  if (segment !== null) return { kind: "segment", log: segment[1]!, segment: BigInt(segment[2]!) };
  return rest === "" || rest.includes("/") ? undefined : { kind: "log", log: rest };
}

/** Throws `damaged`. */
export function decodeLog(value: Uint8Array, key: string): LogMeta {
  const fields = read(value, key);
  const [segment, entry] = [signed(fields.ints.get(8)), signed(fields.ints.get(9))];
  return {
    id: signed(fields.ints.get(1)),
    truncated: segment < 0n || !fields.ints.has(8) && !fields.ints.has(9) ? undefined : { segment, entry },
  };
}

/** Zeros are left out on the wire. Throws `damaged`. */
export function decodeSegment(value: Uint8Array, segment: bigint, key: string): SegmentMeta {
  const { ints, messages } = read(value, key);
  const state = SEGMENT_STATES[Number(ints.get(4) ?? 0n)];
  if (state === undefined) {
    throw new TidemarkError("unsupported", `The key ${key} in etcd has the unknown state ${ints.get(4)} of a segment`, {
      hint: "This Woodpecker is newer than the ones that Tidemark was made for: use a newer Tidemark.",
    });
  }
  const quorum = messages.get(9)?.at(-1);
  const { ints: counts, messages: lists } = read(quorum ?? new Uint8Array(), key);
  const utf8 = new TextDecoder();
  const nodes = (lists.get(5) ?? []).map((node) => utf8.decode(node));
  const acks = Number(counts.get(4) ?? 1n);
  return { segment, state, lastEntry: signed(ints.get(6)), nodes, acks };
}

function signed(value: bigint | undefined): bigint {
  return BigInt.asIntN(64, value ?? 0n);
}

function read(
  value: Uint8Array,
  key: string,
): { readonly ints: ReadonlyMap<number, bigint>; readonly messages: ReadonlyMap<number, Uint8Array[]> } {
  const ints = new Map<number, bigint>();
  const messages = new Map<number, Uint8Array[]>();
  try {
    const reader = new BinaryReader(value);
    while (reader.pos < reader.len) {
      const [field, wire] = reader.tag();
      if (wire === WireType.Varint) ints.set(field, BigInt(reader.uint64()));
      else if (wire === WireType.LengthDelimited) messages.set(field, [...messages.get(field) ?? [], reader.bytes()]);
      else reader.skip(wire, field);
    }
  } catch (cause) {
    throw new TidemarkError("damaged", `The value of the key ${key} in etcd is no metadata of Woodpecker`, { cause });
  }
  return { ints, messages };
}
