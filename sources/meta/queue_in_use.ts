/** Which queue a cluster keeps its log in, by what its metadata gives away. */
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import type { Queue } from "../../pipeline/model/mod.ts";
import { isQueue } from "../../pipeline/positions/mod.ts";
import { WALName } from "../../pipeline/proto/gen/common_pb.ts";
import { type MsgPosition, MsgPositionSchema } from "../../pipeline/proto/gen/msg_pb.ts";
import type { EtcdClient } from "../../stores/mod.ts";
import { decodeValue, QUEUES } from "./decode.ts";
import { isTombstone } from "./keys.ts";

export interface QueueEvidence {
  /** Of `<etcd.rootPath>/config/mqtype`, which 2.6 and later write at their first start. */
  readonly mqType: string | undefined;
  /** Checkpoints of channels. */
  readonly checkpoints: readonly Pick<MsgPosition, "msgID" | "WALName">[];
}

export interface QueueInUse {
  readonly queue: Queue;
  /** Where that is seen, for people. */
  readonly because: string;
}

/** Undefined: nothing says it, as before the first checkpoint of a cluster up to 2.5. */
export function queueInUse({ mqType, checkpoints }: QueueEvidence): QueueInUse | undefined {
  const named = mqType?.trim().toLowerCase();
  if (named !== undefined && isQueue(named)) return { queue: named, because: "config/mqtype in etcd" };
  const because = "the checkpoints of its channels";
  for (const { WALName: name } of checkpoints) {
    const queue = QUEUES[name];
    if (queue !== undefined) return { queue, because };
  }
  for (const { msgID } of checkpoints) {
    const queue = queueOfId(msgID);
    if (queue !== undefined) return { queue, because };
  }
  return undefined;
}

/** RocksMQ takes its ids from a clock (unix ms << 18), so that they are as large as none of Kafka's offsets ever becomes. */
const SMALLEST_ROCKSMQ_ID = 1n << 56n;

/** By the bytes of an id alone, as releases up to 2.5 write them. Those of Woodpecker come with a name. */
function queueOfId(id: Uint8Array): Queue | undefined {
  if (isPulsarId(id)) return "pulsar";
  if (id.length !== 8) return undefined;
  const value = new DataView(id.buffer, id.byteOffset, 8).getBigUint64(0, true);
  return value >= SMALLEST_ROCKSMQ_ID ? "rocksmq" : "kafka";
}

/** MessageIdData {1: ledger, 2: entry, 3: partition, 4: batch index, …}: the first two must be there, and a third. */
function isPulsarId(id: Uint8Array): boolean {
  const fields = new Set<number>();
  try {
    const reader = new BinaryReader(id);
    while (reader.pos < reader.len) {
      const [field, wire] = reader.tag();
      if (wire !== WireType.Varint || field > 9) return false;
      reader.skip(wire, field);
      fields.add(field);
    }
  } catch {
    return false;
  }
  return fields.has(1) && fields.has(2) && fields.size > 2;
}

/** Of many channels one is enough; the first may belong to a collection that is gone. */
const CHECKPOINTS = 64;

/** Asks the source's etcd. `rootPath`: etcd.rootPath of its milvus.yaml; `metaRoot`: with etcd.metaSubPath behind it. */
export async function findQueueInUse(
  etcd: Pick<EtcdClient, "get" | "range">,
  rootPath: string,
  metaRoot: string,
  signal: AbortSignal,
): Promise<QueueInUse | undefined> {
  const named = await etcd.get(`${rootPath}/config/mqtype`, signal);
  const checkpoints: MsgPosition[] = [];
  const prefix = `${metaRoot}/datacoord-meta/channel-cp/`;
  for await (const page of etcd.range(prefix, { limit: CHECKPOINTS }, signal)) {
    for (const { key, value } of page.kvs) {
      if (!isTombstone(value)) checkpoints.push(decodeValue(MsgPositionSchema, value, key));
    }
  }
  return queueInUse({
    mqType: named === undefined ? undefined : new TextDecoder().decode(named.value),
    checkpoints: checkpoints.filter(({ WALName: name, msgID }) => name !== WALName.Unknown || msgID.length > 0),
  });
}
