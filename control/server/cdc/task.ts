/** What is kept of a task that came by `POST /cdc`, beside its configuration: what milvus-cdc's answers say of it. No secrets. */

export interface CdcTask {
  /** As the script chose it, or 32 hexadecimal digits; the task's own name where that may be one. */
  readonly taskId: string;
  /** URI of the target; tasks of one target may not have the same collections. */
  readonly target: string;
  /** `milvus_connect_param` without user, password and token. */
  readonly milvus: Readonly<Record<string, unknown>>;
  readonly collectionInfos: readonly CollectionInfo[] | null;
  readonly dbCollections: Readonly<Record<string, readonly CollectionInfo[]>> | null;
  /** `database.collection` of other tasks that a `*` leaves to them. */
  readonly excluded: readonly string[];
  readonly userRole: boolean;
  /** Paused when the server starts again. */
  readonly disableAutoStart: boolean;
  /** Why it is paused. */
  readonly reason: string;
}

export interface CollectionInfo {
  readonly name: string;
  /** vchannel -> base64 of a serialised MsgPosition. */
  readonly positions: Readonly<Record<string, string>> | null;
  readonly use_start_position: boolean;
}

/** `database.collection` of all that the task is to copy. */
export function scopeOf({ collectionInfos, dbCollections }: Pick<CdcTask, "collectionInfos" | "dbCollections">) {
  return [
    ...(collectionInfos ?? []).map(({ name }) => `default.${name}`),
    ...Object.entries(dbCollections ?? {}).flatMap(([db, infos]) => infos.map(({ name }) => `${db}.${name}`)),
  ];
}
