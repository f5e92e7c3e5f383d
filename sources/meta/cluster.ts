/** What the metadata says of the cluster as a whole: its version, its clock, its streaming service. */
import { parseJson } from "../../pipeline/json.ts";
import {
  BroadcastTaskSchema,
  BroadcastTaskState,
  CChannelMetaSchema,
  StreamingVersionSchema,
} from "../../pipeline/proto/gen/streaming_pb.ts";
import { decodeText, decodeValue } from "./decode.ts";
import { CLOCK_KEYS, idOf } from "./keys.ts";

export interface StreamingReading {
  /** 1: streaming log (2.6.0), 2: DDL in the log (2.6.5). */
  readonly version: bigint;
  /** Empty where there is none. */
  readonly controlChannel: string;
  /** DDL that not every channel has acknowledged yet. */
  readonly pendingBroadcasts: readonly bigint[];
}

const BROADCAST = "streamingcoord-meta/broadcast-task/";

export class ClusterKeys {
  #versions = new Map<string, string>();
  #clockNs = 0n;
  #streaming: { version: bigint; controlChannel: string; pendingBroadcasts: bigint[] } | undefined;

  /** Takes one key below the meta root; others are left alone. Throws `damaged`. */
  apply(key: string, value: Uint8Array): void {
    if (key.startsWith("session/")) this.#applySession(key.slice("session/".length), value);
    if (key.startsWith("streamingcoord-meta/")) this.#applyStreaming(key, value);
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

  #applyStreaming(key: string, value: Uint8Array): void {
    const streaming = this.#streaming ??= { version: 0n, controlChannel: "", pendingBroadcasts: [] };
    // Early 2.6 wrote some keys with a slash at the end.
    const name = key.replace(/\/$/, "");
    if (name === "streamingcoord-meta/version") {
      streaming.version = decodeValue(StreamingVersionSchema, value, key).version;
    } else if (name === "streamingcoord-meta/cchannel") {
      streaming.controlChannel = `${decodeValue(CChannelMetaSchema, value, key).pchannel}_vcchan`;
    } else if (name.startsWith(BROADCAST)) {
      const { state } = decodeValue(BroadcastTaskSchema, value, key);
      if (state !== BroadcastTaskState.DONE && state !== BroadcastTaskState.TOMBSTONE) {
        streaming.pendingBroadcasts.push(idOf(name.slice(BROADCAST.length), key));
      }
    }
  }
}
