/** The sink `type: backup`: base in milvus-backup's layout, log archive beside it. */
export { backupName } from "./name.ts";
export { type BackupSinkDependencies, createBackupSink } from "./sink.ts";
export { firstExactMoment, writeBackup, type WriteBackupOptions } from "./write.ts";
export { type BackupSinkConfig, backupSinkSpec, type Retention, retentionSpec } from "./spec.ts";
