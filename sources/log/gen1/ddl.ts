/** Announcements of generation 1 on pchannels: what each carries differs, and much of it is left empty by the writers. */
import { fromBinary } from "@bufbuild/protobuf";
import type { DdlOperation } from "../../../pipeline/model/mod.ts";
import { MsgType } from "../../../pipeline/proto/gen/common_pb.ts";
import {
  CreateCollectionRequestSchema,
  CreatePartitionRequestSchema,
  DropCollectionRequestSchema,
  DropPartitionRequestSchema,
  ImportMsgSchema,
  ReplicateMsgSchema,
} from "../../../pipeline/proto/gen/msg_pb.ts";
import { type CollectionSchema, CollectionSchemaSchema } from "../../../pipeline/proto/gen/schema_pb.ts";
import type { CreateCollectionRequest } from "../../../pipeline/proto/gen/msg_pb.ts";

export interface DdlBody {
  readonly operation: DdlOperation;
  readonly collectionId: bigint;
  readonly collectionName: string;
  readonly partitionIds: readonly bigint[];
  readonly partitionName: string;
  /** Where the record names them: the vchannels, `vchannels[i]` carried by `pchannels[i]`. */
  readonly vchannels: readonly string[];
  readonly pchannels: readonly string[];
  readonly message: unknown;
}

const NOWHERE = { vchannels: [], pchannels: [] } as const;

/** Schema of a CreateCollection: a message since 2.6.1, bytes before. */
export function schemaOf(request: CreateCollectionRequest): CollectionSchema | undefined {
  if (request.collectionSchema !== undefined) return request.collectionSchema;
  return request.schema.length === 0 ? undefined : fromBinary(CollectionSchemaSchema, request.schema);
}

/** Decodes the whole payload; undefined for a type that is no DDL of generation 1. */
export function readDdl(type: number, value: Uint8Array): DdlBody | undefined {
  switch (type) {
    case MsgType.CreateCollection: {
      const message = fromBinary(CreateCollectionRequestSchema, value);
      return {
        operation: "create_collection",
        collectionId: message.collectionID,
        // The name is only inside the schema.
        collectionName: schemaOf(message)?.name ?? message.collectionName,
        // 2.2 fills the single id.
        partitionIds: message.partitionIDs.length > 0
          ? message.partitionIDs
          : message.partitionID !== 0n
          ? [message.partitionID]
          : [],
        partitionName: message.partitionName,
        vchannels: message.virtualChannelNames,
        pchannels: message.physicalChannelNames,
        message,
      };
    }
    case MsgType.DropCollection:
      return ofCollection("drop_collection", fromBinary(DropCollectionRequestSchema, value));
    case MsgType.CreatePartition:
      return ofPartition("create_partition", fromBinary(CreatePartitionRequestSchema, value));
    case MsgType.DropPartition:
      return ofPartition("drop_partition", fromBinary(DropPartitionRequestSchema, value));
    case MsgType.Import: {
      const message = fromBinary(ImportMsgSchema, value);
      return { ...ofCollection("import", message), partitionIds: message.partitionIDs };
    }
    case MsgType.Replicate: {
      const message = fromBinary(ReplicateMsgSchema, value);
      return { ...ofCollection("replicate", { collectionID: -1n, collectionName: message.collection }), message };
    }
    default:
      return undefined;
  }
}

interface NamedCollection {
  readonly collectionID: bigint;
  readonly collectionName: string;
}

/** One that names a collection, and nothing of where that is. */
function ofCollection(operation: DdlOperation, message: NamedCollection): DdlBody {
  const { collectionID: collectionId, collectionName } = message;
  return { operation, collectionId, collectionName, partitionIds: [], partitionName: "", ...NOWHERE, message };
}

function ofPartition(
  operation: DdlOperation,
  message: NamedCollection & { readonly partitionID: bigint; readonly partitionName: string },
): DdlBody {
  const { partitionID, partitionName } = message;
  return { ...ofCollection(operation, message), partitionIds: [partitionID], partitionName };
}
