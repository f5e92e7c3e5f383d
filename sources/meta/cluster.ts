/** What the metadata says of the cluster as a whole: its version, its clock, its streaming service. */
import { parseJson } from "../../pipeline/json.ts";
import {
  BroadcastTaskSchema,
  BroadcastTaskState,
  CChannelMetaSchema,
  StreamingVersionSchema,
} from "../../pipeline/proto/gen/streaming_pb.ts";
import type { DescMessage } from "@bufbuild/protobuf";
import type { UnsettledChange } from "../../pipeline/model/mod.ts";
import {
  DropCollectionMessageHeaderSchema,
  DropPartitionMessageHeaderSchema,
  MessageType,
  TruncateCollectionMessageHeaderSchema,
} from "../../pipeline/proto/gen/messages_pb.ts";
import { decodeText, decodeValue } from "./decode.ts";
import { CLOCK_KEYS, damagedKey, idOf } from "./keys.ts";

export interface StreamingReading {
  /** 1: streaming log (2.6.0), 2: DDL in the log (2.6.5). */
  readonly version: bigint;
  /** The revision that brought it: with it the streaming nodes took the channels over. */
  readonly since?: bigint;
  /** Empty where there is none. */
  readonly controlChannel: string;
  /** DDL that not every channel has acknowledged yet. */
  readonly pendingBroadcasts: readonly bigint[];
}

/** Types that destroy rows, with where their collection stands. */
const DESTROYING: ReadonlyMap<string, DescMessage> = new Map<string, DescMessage>([
  [String(MessageType.DropCollection), DropCollectionMessageHeaderSchema],
  [String(MessageType.DropPartition), DropPartitionMessageHeaderSchema],
  [String(MessageType.TruncateCollection), TruncateCollectionMessageHeaderSchema],
]);

/** What the message in `key` destroys, by its properties. */
function destroyed(
  { _t: type = "", _h: header = "" }: Readonly<Record<string, string>>,
  key: string,
): Omit<UnsettledChange, "broadcastId"> | undefined {
  const schema = DESTROYING.get(type);
  if (schema === undefined) return undefined;
  let bytes: Uint8Array;
  try {
    bytes = Uint8Array.fromBase64(header);
  } catch (cause) {
    throw damagedKey(key, "its message's header is not base64", cause);
  }
  const { collectionId } = decodeValue(schema, bytes, key) as unknown as { collectionId: bigint };
  return { collectionId, typeName: MessageType[Number(type)]! };
}

const BROADCAST = "streamingcoord-meta/broadcast-task/";

export class ClusterKeys {
  #versions = new Map<string, string>();
  #clockNs = 0n;
  readonly unsettled: UnsettledChange[] = [];
  #streaming: { version: bigint; since?: bigint; controlChannel: string; pendingBroadcasts: bigint[] } | undefined;

  /** Takes one key below the meta root; others are left alone. Throws `damaged`. */
  apply(key: string, value: Uint8Array, createRevision?: bigint): void {
    if (key.startsWith("session/")) this.#applySession(key.slice("session/".length), value);
    if (key.startsWith("streamingcoord-meta/")) this.#applyStreaming(key, value, createRevision);
  }

  /** Takes one key relative to the kv root. */
  applyClock(key: string, value: Uint8Array): void {
    if (!CLOCK_KEYS.some((known) => known === key) || value.length !== 8) return;
    const ns = new DataView(value.buffer, value.byteOffset, 8).getBigUint64(0);
    if (ns > this.#clockNs) this.#clockNs = ns;
  }

  /** Upper bound of the cluster's clock, saved some seconds ahead; unix ms, undefined where it is not saved. */
  get clockMs(): number | undefined {
    return this.#clockNs === 0n ? undefined : Number(this.#clockNs / 1_000_000n);
  }

  /** Of the coordinator's session, else of any; empty where none is registered. */
  get serverVersion(): string {
    const roles = ["rootcoord", "mixcoord"];
    const preferred = [...this.#versions].find(([role]) => roles.some((name) => role.startsWith(name)));
    return preferred?.[1] ?? [...this.#versions.values()][0] ?? "";
  }

  get streaming(): StreamingReading | undefined {
    return this.#streaming;
  }

  #applySession(role: string, value: Uint8Array): void {
    try {
      const session = parseJson(decodeText(value));
      const version = typeof session === "object" && session !== null && !Array.isArray(session)
        ? session["Version"]
        : undefined;
      if (typeof version === "string" && version !== "") this.#versions.set(role, version);
    } catch {
      // session/version and others hold plain text.
      return;
    }
  }

  #applyStreaming(key: string, value: Uint8Array, createRevision: bigint | undefined): void {
    const streaming = this.#streaming ??= { version: 0n, controlChannel: "", pendingBroadcasts: [] };
    // Early 2.6 wrote some keys with a slash at the end.
    const name = key.replace(/\/$/, "");
    if (name === "streamingcoord-meta/version") {
      streaming.version = decodeValue(StreamingVersionSchema, value, key).version;
      if (createRevision !== undefined) streaming.since = createRevision;
    } else if (name === "streamingcoord-meta/cchannel") {
      streaming.controlChannel = `${decodeValue(CChannelMetaSchema, value, key).pchannel}_vcchan`;
    } else if (name.startsWith(BROADCAST)) {
      const { state, message } = decodeValue(BroadcastTaskSchema, value, key);
      if (state !== BroadcastTaskState.DONE && state !== BroadcastTaskState.TOMBSTONE) {
        const id = idOf(name.slice(BROADCAST.length), key);
        streaming.pendingBroadcasts.push(id);
        const change = destroyed(message?.properties ?? {}, key);
        if (change !== undefined) this.unsettled.push({ broadcastId: id, ...change });
      }
    }
  }
}
