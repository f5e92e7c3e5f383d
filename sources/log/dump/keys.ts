/**
 * What the source's etcd says of its channels: which there are, where Milvus itself would start again, and how far it has come.
 * It never truncates its log behind what its own restart needs, so that those places are in reach, whatever the queue.
 */
import { fromBinary } from "@bufbuild/protobuf";
import { TidemarkError } from "../../../pipeline/errors.ts";
import type { Position } from "../../../pipeline/model/mod.ts";
import { WALName } from "../../../pipeline/proto/gen/common_pb.ts";
import { MsgPositionSchema } from "../../../pipeline/proto/gen/msg_pb.ts";
import { WALCheckpointSchema } from "../../../pipeline/proto/gen/streaming_pb.ts";
import type { EtcdClient } from "../../../stores/mod.ts";
import type { DumpIds } from "./ids.ts";

/** The calls that are made: no key is ever written. */
export type DumpEtcd = Pick<EtcdClient, "get" | "range">;

export interface ChannelFacts {
  /** Identity: a channel of a cluster that was made anew has another. */
  readonly topicId: string;
  /**
   * Where the node that serves the channel starts again. Everything with a later tick than the checkpoint's lies there or
   * behind, open transactions included.
   */
  readonly restart: Position | undefined;
  /** The oldest of that and of the checkpoints of the channel's collections: from there on nothing was removed. */
  readonly held: Position | undefined;
  /** The newest of them: the log reaches at least to there. */
  readonly reached: Position | undefined;
}

export class DumpKeys {
  readonly #etcd: DumpEtcd;
  readonly #root: string;
  readonly #ids: DumpIds;

  /** `root`: `<etcd.rootPath>/<etcd.metaSubPath>`. */
  constructor(etcd: DumpEtcd, root: string, ids: DumpIds) {
    this.#etcd = etcd;
    this.#root = root;
    this.#ids = ids;
  }

  async topics(signal: AbortSignal): Promise<string[]> {
    const prefix = `${this.#root}/streamingcoord-meta/pchannel/`;
    const names: string[] = [];
    for await (const { kvs } of this.#etcd.range(prefix, { keysOnly: true }, signal)) {
      for (const { key } of kvs) names.push(key.slice(prefix.length));
    }
    return names.sort();
  }

  /** Throws `not_found` for a channel that is not there, and `config` where its queue is another one. */
  async facts(topic: string, signal: AbortSignal): Promise<ChannelFacts> {
    const channel = await this.#etcd.get(`${this.#root}/streamingcoord-meta/pchannel/${topic}`, signal);
    if (channel === undefined) {
      throw new TidemarkError("not_found", `The source has no channel ${topic} below ${this.#root} in etcd`, {
        hint: "Milvus up to 2.5 keeps no such keys and has no DumpMessages: name its queue in sources.log.",
      });
    }
    const restart = await this.restart(topic, signal);
    const places = restart === undefined ? [] : [restart];
    const prefix = `${this.#root}/datacoord-meta/channel-cp/${topic}_`;
    for await (const { kvs } of this.#etcd.range(prefix, {}, signal)) {
      for (const { value } of kvs) {
        const { WALName: wal, msgID } = fromBinary(MsgPositionSchema, value);
        // Of a channel that was dropped it says no queue and no place.
        const place = wal === this.#ids.wal ? this.#ids.forms.fromMilvus(msgID) : undefined;
        if (place !== undefined) places.push(place);
      }
    }
    return {
      topicId: `channel/${channel.createRevision}`,
      restart,
      held: smallest(places),
      reached: largest(places),
    };
  }

  /** As {@link ChannelFacts.restart}. */
  async restart(topic: string, signal: AbortSignal): Promise<Position | undefined> {
    const kv = await this.#etcd.get(`${this.#root}/streamingnode-meta/wal/${topic}/consume-checkpoint`, signal);
    if (kv === undefined) return undefined;
    const { messageId } = fromBinary(WALCheckpointSchema, kv.value);
    if (messageId === undefined) return undefined;
    if (messageId.WALName !== this.#ids.wal) {
      const found = WALName[messageId.WALName] ?? String(messageId.WALName);
      throw new TidemarkError(
        "config",
        `The source keeps ${topic} in ${found}, and sources.log.queue says ${this.#ids.queue}`,
        { hint: `Set sources.log.queue to ${found.toLowerCase()}.` },
      );
    }
    return this.#ids.read(messageId.id);
  }
}

function smallest(places: readonly Position[]): Position | undefined {
  return places.reduce<Position | undefined>((min, place) => min === undefined || place < min ? place : min, undefined);
}

function largest(places: readonly Position[]): Position | undefined {
  return places.reduce<Position | undefined>((max, place) => max === undefined || place > max ? place : max, undefined);
}
