/**
 * The topic `<cluster>-replicate-msg` (2.3.2 to 2.5): requests as clients sent them, written by the proxies after the call
 * succeeded. Best effort, so some can be missing; no time ticks; in order of arrival only. It is a hint of what happened,
 * never the truth: that is in the metadata.
 */
import { type DescMessage, fromBinary, type Message } from "@bufbuild/protobuf";
import { type MsgBase, MsgType } from "../../pipeline/proto/gen/common_pb.ts";
import * as milvus from "../../pipeline/proto/gen/milvus_pb.ts";
import { after, type HybridTs, type LogRecord, type LogSource } from "../../pipeline/model/mod.ts";
import { TidemarkError } from "../../pipeline/errors.ts";
import { readBase } from "./gen1/base.ts";
import { WireReader } from "./wire.ts";

const REQUESTS: ReadonlyMap<MsgType, DescMessage> = new Map<MsgType, DescMessage>([
  [MsgType.CreateDatabase, milvus.CreateDatabaseRequestSchema],
  [MsgType.DropDatabase, milvus.DropDatabaseRequestSchema],
  [MsgType.AlterDatabase, milvus.AlterDatabaseRequestSchema],
  [MsgType.Flush, milvus.FlushRequestSchema],
  [MsgType.CreateIndex, milvus.CreateIndexRequestSchema],
  [MsgType.DropIndex, milvus.DropIndexRequestSchema],
  [MsgType.AlterIndex, milvus.AlterIndexRequestSchema],
  [MsgType.LoadCollection, milvus.LoadCollectionRequestSchema],
  [MsgType.ReleaseCollection, milvus.ReleaseCollectionRequestSchema],
  [MsgType.LoadPartitions, milvus.LoadPartitionsRequestSchema],
  [MsgType.ReleasePartitions, milvus.ReleasePartitionsRequestSchema],
  [MsgType.CreateAlias, milvus.CreateAliasRequestSchema],
  [MsgType.DropAlias, milvus.DropAliasRequestSchema],
  [MsgType.AlterAlias, milvus.AlterAliasRequestSchema],
  [MsgType.AlterCollection, milvus.AlterCollectionRequestSchema],
  [MsgType.AlterCollectionField, milvus.AlterCollectionFieldRequestSchema],
  [MsgType.RenameCollection, milvus.RenameCollectionRequestSchema],
  [MsgType.CreateCredential, milvus.CreateCredentialRequestSchema],
  [MsgType.UpdateCredential, milvus.UpdateCredentialRequestSchema],
  [MsgType.DeleteCredential, milvus.DeleteCredentialRequestSchema],
  [MsgType.CreateRole, milvus.CreateRoleRequestSchema],
  [MsgType.DropRole, milvus.DropRoleRequestSchema],
  [MsgType.OperateUserRole, milvus.OperateUserRoleRequestSchema],
  [MsgType.OperatePrivilege, milvus.OperatePrivilegeRequestSchema],
  [MsgType.OperatePrivilegeV2, milvus.OperatePrivilegeV2RequestSchema],
  [MsgType.CreatePrivilegeGroup, milvus.CreatePrivilegeGroupRequestSchema],
  [MsgType.DropPrivilegeGroup, milvus.DropPrivilegeGroupRequestSchema],
  [MsgType.OperatePrivilegeGroup, milvus.OperatePrivilegeGroupRequestSchema],
]);

/** Suffix of the topic's name behind the cluster's prefix, by default. */
export const REPLICATE_SUFFIX = "-replicate-msg";

export interface ReplicateRequest {
  readonly topic: string;
  readonly offset: bigint;
  readonly type: MsgType;
  /** Name of `type`: `Flush`, `CreateDatabase`, … */
  readonly typeName: string;
  /** When the call was made; of the original call where it was itself a replicated one. */
  readonly ts: HybridTs;
  readonly schema: DescMessage;
  /** The request, of the message type of `schema`. */
  readonly request: Message & { base?: MsgBase };
}

/** Undefined for a record without value or header. Throws `damaged` for bytes that are no request, `unsupported` for an unknown one. */
export function decodeReplicate(record: LogRecord): ReplicateRequest | undefined {
  const { topic, offset, value } = record;
  if (value === null || value.length === 0) return undefined;
  try {
    const base = readBase(new WireReader(value));
    if (base === undefined) return undefined;
    const type: MsgType = base.type;
    const schema = REQUESTS.get(type);
    const typeName = MsgType[type] ?? String(type);
    if (schema === undefined) {
      throw new TidemarkError("unsupported", `Record ${offset} of ${topic} is a request of unknown type ${typeName}`);
    }
    const request = fromBinary(schema, value) as ReplicateRequest["request"];
    const replicated = request.base?.replicateInfo;
    const ts = replicated?.isReplicate ? replicated.msgTimestamp : base.ts;
    return { topic, offset, type, typeName, ts, schema, request };
  } catch (thrown) {
    if (thrown instanceof TidemarkError) throw thrown;
    throw new TidemarkError("damaged", `Record ${offset} of ${topic} is no request of Milvus`, { cause: thrown });
  }
}

/** What is behind one fetch: requests, and where to go on. */
export interface ReplicatePage {
  readonly requests: readonly ReplicateRequest[];
  /** Offset behind the last record read. */
  readonly next: bigint;
}

export interface FollowReplicateOptions {
  readonly topic: string;
  readonly offset: bigint;
  readonly topicId: string | undefined;
  /** Told of records that are no known request; they are passed over, because this topic is only a hint. */
  readonly onOddity?: (error: TidemarkError) => void;
}

/** Requests from `options.offset` on, for ever. Throws what {@link LogSource.tail} throws. */
export async function* followReplicate(
  log: Pick<LogSource, "tail">,
  options: FollowReplicateOptions,
  signal: AbortSignal,
): AsyncGenerator<ReplicatePage, void, void> {
  const { topic, offset, topicId, onOddity } = options;
  for await (const { records } of log.tail(topic, offset, topicId, signal)) {
    if (records.length === 0) continue;
    const requests: ReplicateRequest[] = [];
    for (const record of records) {
      try {
        const request = decodeReplicate(record);
        if (request !== undefined) requests.push(request);
      } catch (thrown) {
        if (!(thrown instanceof TidemarkError)) throw thrown;
        onOddity?.(thrown);
      }
    }
    yield { requests, next: after(records.at(-1)!.offset) };
  }
}
