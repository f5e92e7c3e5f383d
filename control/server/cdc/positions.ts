/** Places in the log as milvus-cdc writes them: base64 of a serialised `msg.MsgPosition`, by vchannel. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Queue, RunStatus } from "../../../pipeline/model/mod.ts";
import { msOfHybrid } from "../../../pipeline/model/mod.ts";
import { positionsOf } from "../../../pipeline/positions/mod.ts";
import { MsgPositionSchema } from "../../../pipeline/proto/gen/msg_pb.ts";
import { CdcFailure } from "./failure.ts";
import type { CollectionInfo } from "./task.ts";

/** `by-dev-rootcoord-dml_0_449684612096v1`: pchannel, collection id, shard. */
const VCHANNEL = /^(.*)_(\d+)v(\d+)$/;

export interface CdcPosition {
  readonly collection_id: bigint;
  readonly channel_name: string;
  /** Unix ms. */
  readonly time: bigint;
  /** Hybrid timestamp. */
  readonly tt: bigint;
  readonly msg_id: string;
}

/** Throws 400 and 500, as milvus-cdc does, for positions that cannot be ones of the collection. */
export function checkPositions(infos: readonly CollectionInfo[]): void {
  for (const { name, positions } of infos) {
    const channels = Object.entries(positions ?? {});
    if (name === "*" && channels.length > 0) {
      throw new CdcFailure(400, "the collection name is `*`, the positions should be empty");
    }
    let collection: string | undefined;
    for (const [vchannel, position] of channels) {
      const match = VCHANNEL.exec(vchannel);
      if (match === null) {
        throw new CdcFailure(400, `the position channel name is not virtual channel, ${vchannel}`);
      }
      decodePosition(position, "fail to decode the position data");
      collection ??= match[2];
      if (collection !== match[2]) {
        throw new CdcFailure(400, "the channel position info should be in the same collection");
      }
    }
  }
}

/** Throws 500 for a text that is none. */
export function decodePosition(text: string, otherwise: string): { readonly channel: string; readonly id: Uint8Array } {
  try {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const { channelName, msgID } = fromBinary(MsgPositionSchema, bytes);
    return { channel: channelName, id: msgID };
  } catch (error) {
    throw new CdcFailure(500, `${otherwise}: ${(error as Error).message}`);
  }
}

/**
 * From where each channel would be read after a restart. A run has one place for all collections of a channel, so that no
 * collection is named: the id is -1, which milvus-cdc writes where it does not know it either.
 */
export function positionsOfStatus(status: RunStatus | undefined, queue: Queue): CdcPosition[] {
  const forms = positionsOf(queue);
  return (status?.channels ?? []).flatMap(({ pchannel, position, tick }) => {
    const place = forms.parse(position);
    if (place === undefined || tick === 0n) return [];
    const message = create(MsgPositionSchema, { channelName: pchannel, msgID: forms.toMilvus(place) });
    return [{
      collection_id: -1n,
      channel_name: pchannel,
      time: BigInt(msOfHybrid(tick)),
      tt: tick,
      msg_id: toBinary(MsgPositionSchema, message).toBase64(),
    }];
  });
}
