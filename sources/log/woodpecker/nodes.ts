/**
 * Woodpecker's own servers, as storage of type `service` has them: the two calls that only read (package
 * woodpecker.proto.logstore). Every other one changes the log, and nothing would refuse it.
 */
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { TidemarkError, toTidemarkError } from "../../../pipeline/errors.ts";

/** A connection to one server: requests and answers are bytes, `path` is `/package.Service/Method`. */
export interface NodeChannel {
  unary(
    path: string,
    body: Uint8Array,
    options: { readonly db: string; readonly timeoutMs: number; readonly signal: AbortSignal },
  ): Promise<Uint8Array>;
  close(): Promise<void>;
}

export interface NodeOptions {
  /** `address`: host:port, as etcd names it. */
  readonly open: (address: string) => Promise<NodeChannel>;
  /** Of the bucket below which the servers keep the log: `minio.bucketName`. */
  readonly bucket: string;
  readonly timeoutMs?: number;
}

/** Where a segment is, for the servers. */
export interface NodePlace {
  /** Key below which the log lies. */
  readonly root: string;
  readonly logId: bigint;
  readonly segment: bigint;
}

export type NodeAnswer =
  /** Without a gap, the first of them the one that was asked for. `state`: for the next question to the same server. */
  | { readonly kind: "entries"; readonly entries: readonly Uint8Array[]; readonly state: Uint8Array | undefined }
  /** This server does not have the entry, or does not know yet that it was acknowledged. */
  | { readonly kind: "absent" }
  /** It did not answer, or cannot. */
  | { readonly kind: "failed"; readonly reason: string };

const SERVICE = "/woodpecker.proto.logstore.LogStore";
const TIMEOUT_MS = 10_000;
/** Soft: a server gives whole blocks, and stops at 2 MB. */
const MAX_ENTRIES = 1000n;

/** `Status.code` of an answer. */
const CODE = { ok: 0n, compactedMeanwhile: 2312n } as const;
/**
 * Log being deleted, no such file, end of the file, no such block, no such entry, no such segment. Also the end is one server's
 * word: etcd says where a segment ends.
 */
const ABSENT: ReadonlySet<bigint> = new Set([2005n, 2300n, 2310n, 2311n, 8102n, 8105n]);

export class WoodpeckerNodes {
  readonly #options: NodeOptions;
  readonly #channels = new Map<string, Promise<NodeChannel>>();

  constructor(options: NodeOptions) {
    this.#options = options;
  }

  /** The entries from `entry` on. `state`: of an earlier answer of the same server, which spares it a search. */
  async read(
    address: string,
    place: NodePlace,
    entry: bigint,
    state: Uint8Array | undefined,
    signal: AbortSignal,
  ): Promise<NodeAnswer> {
    const ask = (known: Uint8Array | undefined) =>
      this.#call(address, "GetBatchEntriesAdv", this.#batchRequest(place, entry, known), signal);
    let answer = await ask(state);
    if (answer.code === CODE.compactedMeanwhile) answer = await ask(undefined);
    if (answer.code !== CODE.ok) return refusal(address, answer);
    const { entries, state: next } = readBatch(answer.rest.get(2)?.at(-1), place.segment, entry);
    // A server that missed a part gives what comes behind it.
    return entries.length === 0 ? { kind: "absent" } : { kind: "entries", entries, state: next };
  }

  /** The last entry that this server has, acknowledged or not; -1: none. A text: why it does not say. */
  async last(address: string, place: NodePlace, signal: AbortSignal): Promise<bigint | string> {
    const answer = await this.#call(address, "GetSegmentLastAddConfirmed", this.#request(place).finish(), signal);
    if (answer.code === CODE.ok) return answer.ints.get(2) ?? 0n;
    const refused = refusal(address, answer);
    return refused.kind === "failed" ? refused.reason : -1n;
  }

  async close(): Promise<void> {
    const opened = await Promise.allSettled(this.#channels.values());
    await Promise.all(opened.map((channel) => channel.status === "fulfilled" ? channel.value.close() : undefined));
  }

  #request({ root, logId, segment }: NodePlace): BinaryWriter {
    return new BinaryWriter().tag(1, WireType.LengthDelimited).string(this.#options.bucket)
      .tag(2, WireType.LengthDelimited).string(root)
      .tag(3, WireType.Varint).int64(logId)
      .tag(4, WireType.Varint).int64(segment);
  }

  #batchRequest(place: NodePlace, entry: bigint, state: Uint8Array | undefined): Uint8Array {
    const writer = this.#request(place).tag(5, WireType.Varint).int64(entry).tag(6, WireType.Varint).int64(MAX_ENTRIES);
    if (state !== undefined) writer.tag(7, WireType.LengthDelimited).bytes(state);
    return writer.finish();
  }

  async #call(address: string, method: string, body: Uint8Array, signal: AbortSignal): Promise<Answer> {
    const { open, timeoutMs = TIMEOUT_MS } = this.#options;
    let opening = this.#channels.get(address);
    if (opening === undefined) this.#channels.set(address, opening = open(address));
    try {
      const channel = await opening;
      return readAnswer(await channel.unary(`${SERVICE}/${method}`, body, { db: "", timeoutMs, signal }));
    } catch (thrown) {
      signal.throwIfAborted();
      return { code: undefined, reason: toTidemarkError(thrown).message, ints: new Map(), rest: new Map() };
    }
  }
}

interface Answer {
  /** Undefined: there was none. */
  readonly code: bigint | undefined;
  readonly reason: string;
  readonly ints: ReadonlyMap<number, bigint>;
  readonly rest: ReadonlyMap<number, readonly Uint8Array[]>;
}

function refusal(address: string, { code, reason }: Answer): Exclude<NodeAnswer, { kind: "entries" }> {
  if (code !== undefined && ABSENT.has(code)) return { kind: "absent" };
  return { kind: "failed", reason: code === undefined ? reason : `${address}: ${reason} (code ${code})` };
}

/** Every answer begins with its status; that of gRPC is good also where this one is not. */
function readAnswer(bytes: Uint8Array): Answer {
  const { ints, rest } = readFields(bytes);
  const status = readFields(rest.get(1)?.at(-1) ?? new Uint8Array());
  const reason = new TextDecoder().decode(status.rest.get(1)?.at(-1));
  return { code: status.ints.get(2) ?? 0n, reason, ints, rest };
}

/** BatchReadResult {1: repeated LogEntry {1: segment, 2: entry, 3: bytes}, 2: state}. */
function readBatch(
  bytes: Uint8Array | undefined,
  segment: bigint,
  from: bigint,
): { readonly entries: Uint8Array[]; readonly state: Uint8Array | undefined } {
  const { rest } = readFields(bytes ?? new Uint8Array());
  const entries: Uint8Array[] = [];
  for (const each of rest.get(1) ?? []) {
    const entry = readFields(each);
    const expected = from + BigInt(entries.length);
    if ((entry.ints.get(1) ?? 0n) !== segment || (entry.ints.get(2) ?? 0n) !== expected) break;
    entries.push(entry.rest.get(3)?.at(-1) ?? new Uint8Array());
  }
  return { entries, state: rest.get(2)?.at(-1) };
}

/** Throws `unreachable` for bytes that are no message: something else than Woodpecker answers there. */
function readFields(
  bytes: Uint8Array,
): { readonly ints: ReadonlyMap<number, bigint>; readonly rest: ReadonlyMap<number, Uint8Array[]> } {
  const ints = new Map<number, bigint>();
  const rest = new Map<number, Uint8Array[]>();
  try {
    const reader = new BinaryReader(bytes);
    while (reader.pos < reader.len) {
      const [field, wire] = reader.tag();
      if (wire === WireType.Varint) ints.set(field, BigInt(reader.int64()));
      else if (wire === WireType.LengthDelimited) {
        const list = rest.get(field);
        if (list === undefined) rest.set(field, [reader.bytes()]);
        else list.push(reader.bytes());
      } else reader.skip(wire, field);
    }
  } catch (cause) {
    throw new TidemarkError("unreachable", "The answer is none of Woodpecker's", { cause });
  }
  return { ints, rest };
}
