/** The message types of generation 2 up to Milvus 3.0.0, with their header and body. */
import type { DescMessage, Message } from "@bufbuild/protobuf";
import type { DdlOperation } from "../../../pipeline/model/mod.ts";
import * as messages from "../../../pipeline/proto/gen/messages_pb.ts";
import {
  CreateCollectionRequestSchema,
  CreatePartitionRequestSchema,
  DropCollectionRequestSchema,
  DropPartitionRequestSchema,
  ImportMsgSchema,
} from "../../../pipeline/proto/gen/msg_pb.ts";

/** A decoded generation-2 message: `DdlEvent.message`. */
export interface Gen2Message {
  readonly header: Message;
  readonly headerSchema: DescMessage;
  readonly body: Message;
  readonly bodySchema: DescMessage;
}

export interface DdlType {
  readonly operation: DdlOperation;
  readonly header: DescMessage;
  readonly body: DescMessage;
}

const { MessageType } = messages;

const other = (header: DescMessage, body: DescMessage): DdlType => ({ operation: "other", header, body });

/** Types that announce a change. What is in no table is unknown and blocks. */
export const DDL_TYPES: ReadonlyMap<number, DdlType> = new Map<number, DdlType>([
  [MessageType.CreateCollection, {
    operation: "create_collection",
    header: messages.CreateCollectionMessageHeaderSchema,
    body: CreateCollectionRequestSchema,
  }],
  [MessageType.DropCollection, {
    operation: "drop_collection",
    header: messages.DropCollectionMessageHeaderSchema,
    body: DropCollectionRequestSchema,
  }],
  [MessageType.CreatePartition, {
    operation: "create_partition",
    header: messages.CreatePartitionMessageHeaderSchema,
    body: CreatePartitionRequestSchema,
  }],
  [MessageType.DropPartition, {
    operation: "drop_partition",
    header: messages.DropPartitionMessageHeaderSchema,
    body: DropPartitionRequestSchema,
  }],
  [MessageType.Import, {
    operation: "import",
    header: messages.ImportMessageHeaderSchema,
    body: ImportMsgSchema,
  }],
  [MessageType.SchemaChange, {
    operation: "alter_collection",
    header: messages.SchemaChangeMessageHeaderSchema,
    body: messages.SchemaChangeMessageBodySchema,
  }],
  [MessageType.AlterCollection, {
    operation: "alter_collection",
    header: messages.AlterCollectionMessageHeaderSchema,
    body: messages.AlterCollectionMessageBodySchema,
  }],
  [MessageType.TruncateCollection, {
    operation: "truncate_collection",
    header: messages.TruncateCollectionMessageHeaderSchema,
    body: messages.TruncateCollectionMessageBodySchema,
  }],
  [MessageType.AlterReplicateConfig, {
    operation: "replicate",
    header: messages.AlterReplicateConfigMessageHeaderSchema,
    body: messages.AlterReplicateConfigMessageBodySchema,
  }],
  [
    MessageType.AlterLoadConfig,
    other(messages.AlterLoadConfigMessageHeaderSchema, messages.AlterLoadConfigMessageBodySchema),
  ],
  [
    MessageType.DropLoadConfig,
    other(messages.DropLoadConfigMessageHeaderSchema, messages.DropLoadConfigMessageBodySchema),
  ],
  [
    MessageType.CreateDatabase,
    other(messages.CreateDatabaseMessageHeaderSchema, messages.CreateDatabaseMessageBodySchema),
  ],
  [
    MessageType.AlterDatabase,
    other(messages.AlterDatabaseMessageHeaderSchema, messages.AlterDatabaseMessageBodySchema),
  ],
  [MessageType.DropDatabase, other(messages.DropDatabaseMessageHeaderSchema, messages.DropDatabaseMessageBodySchema)],
  [MessageType.AlterAlias, other(messages.AlterAliasMessageHeaderSchema, messages.AlterAliasMessageBodySchema)],
  [MessageType.DropAlias, other(messages.DropAliasMessageHeaderSchema, messages.DropAliasMessageBodySchema)],
  [MessageType.RestoreRBAC, other(messages.RestoreRBACMessageHeaderSchema, messages.RestoreRBACMessageBodySchema)],
  [MessageType.AlterUser, other(messages.AlterUserMessageHeaderSchema, messages.AlterUserMessageBodySchema)],
  [MessageType.DropUser, other(messages.DropUserMessageHeaderSchema, messages.DropUserMessageBodySchema)],
  [MessageType.AlterRole, other(messages.AlterRoleMessageHeaderSchema, messages.AlterRoleMessageBodySchema)],
  [MessageType.DropRole, other(messages.DropRoleMessageHeaderSchema, messages.DropRoleMessageBodySchema)],
  [
    MessageType.AlterUserRole,
    other(messages.AlterUserRoleMessageHeaderSchema, messages.AlterUserRoleMessageBodySchema),
  ],
  [MessageType.DropUserRole, other(messages.DropUserRoleMessageHeaderSchema, messages.DropUserRoleMessageBodySchema)],
  [
    MessageType.AlterPrivilege,
    other(messages.AlterPrivilegeMessageHeaderSchema, messages.AlterPrivilegeMessageBodySchema),
  ],
  [
    MessageType.DropPrivilege,
    other(messages.DropPrivilegeMessageHeaderSchema, messages.DropPrivilegeMessageBodySchema),
  ],
  [
    MessageType.AlterPrivilegeGroup,
    other(messages.AlterPrivilegeGroupMessageHeaderSchema, messages.AlterPrivilegeGroupMessageBodySchema),
  ],
  [
    MessageType.DropPrivilegeGroup,
    other(messages.DropPrivilegeGroupMessageHeaderSchema, messages.DropPrivilegeGroupMessageBodySchema),
  ],
  [
    MessageType.AlterResourceGroup,
    other(messages.AlterResourceGroupMessageHeaderSchema, messages.AlterResourceGroupMessageBodySchema),
  ],
  [
    MessageType.DropResourceGroup,
    other(messages.DropResourceGroupMessageHeaderSchema, messages.DropResourceGroupMessageBodySchema),
  ],
  [MessageType.CreateIndex, other(messages.CreateIndexMessageHeaderSchema, messages.CreateIndexMessageBodySchema)],
  [MessageType.AlterIndex, other(messages.AlterIndexMessageHeaderSchema, messages.AlterIndexMessageBodySchema)],
  [MessageType.DropIndex, other(messages.DropIndexMessageHeaderSchema, messages.DropIndexMessageBodySchema)],
  [
    MessageType.CreateSnapshot,
    other(messages.CreateSnapshotMessageHeaderSchema, messages.CreateSnapshotMessageBodySchema),
  ],
  [MessageType.DropSnapshot, other(messages.DropSnapshotMessageHeaderSchema, messages.DropSnapshotMessageBodySchema)],
  [
    MessageType.DropSnapshotsByCollection,
    other(messages.DropSnapshotsByCollectionMessageHeaderSchema, messages.DropSnapshotsByCollectionMessageBodySchema),
  ],
  [MessageType.CommitImport, {
    operation: "import",
    header: messages.CommitImportMessageHeaderSchema,
    body: messages.CommitImportMessageBodySchema,
  }],
  [MessageType.RollbackImport, {
    operation: "import",
    header: messages.RollbackImportMessageHeaderSchema,
    body: messages.RollbackImportMessageBodySchema,
  }],
]);

/** Types that are known and that a reader of the log cannot follow: their header, and why. */
export const BLOCKING_TYPES: ReadonlyMap<number, { readonly header: DescMessage; readonly reason: string }> = new Map([
  [MessageType.RestoreSnapshot, {
    header: messages.RestoreSnapshotMessageHeaderSchema,
    reason: "A snapshot was restored: its rows are not in the log",
  }],
  [MessageType.BatchUpdateManifest, {
    header: messages.BatchUpdateManifestMessageHeaderSchema,
    reason: "Files of segments were replaced: the rows they changed are not in the log",
  }],
  [MessageType.RefreshExternalCollection, {
    header: messages.RefreshExternalCollectionMessageHeaderSchema,
    reason: "An external collection was refreshed: its rows are not in the log",
  }],
  [MessageType.AlterWAL, {
    header: messages.AlterWALMessageHeaderSchema,
    reason: "The source moved its log to another message queue: this one ends here. What follows is in the new one: " +
      "point sources.log there, with a state of its own, for a fresh copy",
  }],
]);

/** Types whose body is a request of generation 1, in records of version 1; the others have bodies of their own, in version 2. */
export const REQUEST_TYPES: ReadonlySet<number> = new Set<number>([
  MessageType.TimeTick,
  MessageType.Insert,
  MessageType.Delete,
  MessageType.CreateCollection,
  MessageType.DropCollection,
  MessageType.CreatePartition,
  MessageType.DropPartition,
  MessageType.Import,
]);

export function isKnownType(type: number): boolean {
  return MessageType[type] !== undefined;
}

/** Milvus' own housekeeping: nothing that a copy has to do. */
export const SYSTEM_TYPES: ReadonlySet<number> = new Set<number>([
  MessageType.Flush,
  MessageType.ManualFlush,
  MessageType.CreateSegment,
  MessageType.FlushAll,
]);
