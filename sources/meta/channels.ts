/** Checkpoints of vchannels, and which vchannels are gone. */
import type { PositionForms, StoredPosition } from "../../pipeline/model/mod.ts";
import { MAX_HYBRID_TS } from "../../pipeline/model/mod.ts";
import { MsgPositionSchema } from "../../pipeline/proto/gen/msg_pb.ts";
import type { CollectionReading } from "./catalog.ts";
import { decodeText, decodeValue, positionOf } from "./decode.ts";
import { damagedKey, isTombstone } from "./keys.ts";

const CHECKPOINT = "datacoord-meta/channel-cp/";
const REMOVAL = "datacoord-meta/channel-removal/";

export interface ChannelsReading {
  /** vchannel -> checkpoint, of channels that are not gone. */
  readonly checkpoints: ReadonlyMap<string, StoredPosition>;
  /** Sorted. */
  readonly dropped: readonly string[];
}

export class ChannelKeys {
  readonly #checkpoints = new Map<string, StoredPosition>();
  /** channel -> when its checkpoint was written, where that is known. */
  readonly #written = new Map<string, bigint>();
  readonly #removals = new Map<string, string>();
  readonly #forms: PositionForms;

  constructor(forms: PositionForms) {
    this.#forms = forms;
  }

  /** Takes one key of `datacoord-meta/`; others are left alone. Throws `damaged`. */
  apply(key: string, value: Uint8Array, modRevision?: bigint): void {
    if (key.startsWith(REMOVAL)) this.#removals.set(key.slice(REMOVAL.length), decodeText(value));
    if (!key.startsWith(CHECKPOINT) || isTombstone(value)) return;
    const position = positionOf(decodeValue(MsgPositionSchema, value, key), this.#forms);
    if (position.ts === 0n) throw damagedKey(key, "the position has no timestamp");
    this.#checkpoints.set(key.slice(CHECKPOINT.length), position);
    if (modRevision !== undefined) this.#written.set(key.slice(CHECKPOINT.length), modRevision);
  }

  /**
   * A channel is gone by any of: the marker (timestamp 2^64-1), `removed`, or a collection that is being dropped: 2.3.5
   * leaves the checkpoint of a dropped collection as it was. `streaming`: whether there are streaming nodes, and since which
   * revision.
   */
  read(collections: readonly CollectionReading[], streaming: { readonly since?: bigint } | undefined): ChannelsReading {
    const dropping = new Set(
      collections.filter(({ state }) => state === "dropping").flatMap(({ vchannels }) => vchannels),
    );
    const isGone = (channel: string): boolean =>
      this.#checkpoints.get(channel)?.ts === MAX_HYBRID_TS || this.#removals.get(channel) === "removed" ||
      dropping.has(channel);
    // A cluster that was upgraded has some of before until its streaming nodes have written their own.
    const isStreamed = (channel: string, { queue }: StoredPosition): boolean => {
      if (queue !== undefined || streaming === undefined) return queue !== undefined;
      const written = this.#written.get(channel);
      return written === undefined || streaming.since === undefined || written >= streaming.since;
    };
    const known = new Set([...this.#checkpoints.keys(), ...this.#removals.keys()]);
    return {
      checkpoints: new Map(
        [...this.#checkpoints].filter(([channel]) => !isGone(channel)).map(([channel, position]) => [
          channel,
          isStreamed(channel, position) ? { ...position, streamed: true } : position,
        ]),
      ),
      dropped: [...known].filter(isGone).sort(),
    };
  }
}
