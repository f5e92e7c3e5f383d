/** Config of the sink `type: backup`. */
import { z } from "zod";
import { duration, size } from "../../pipeline/units/mod.ts";
import { backupStorageSpec } from "../../stores/encryption/spec.ts";
import { isNamePattern } from "./name.ts";
import { isCronExpression } from "./schedule.ts";

const MIB = 1 << 20;

/** How many backups are kept; a backup goes when no rule keeps it. No rule at all keeps every one. */
export const retentionSpec = z.strictObject({
  last: z.int().min(1).optional().describe("Keep the newest n backups"),
  within: duration({ minMs: 1 }).optional().describe("Keep every backup younger than this"),
  daily: z.int().min(1).optional().describe("Keep the newest backup of each of the last n days that have one"),
  weekly: z.int().min(1).optional().describe("Keep the newest backup of each of the last n ISO weeks that have one"),
  monthly: z.int().min(1).optional().describe("Keep the newest backup of each of the last n months that have one"),
  time_zone: z.string().default("UTC").describe("Where days, weeks and months begin, for example Europe/Berlin"),
});

export const backupSinkSpec = z.strictObject({
  type: z.literal("backup").describe("A backup in milvus-backup's layout, with an archive of the log beside it"),
  name: z.string().default("tidemark_{date}_{time}").refine(isNamePattern, {
    error: "expected letters, digits and _, not beginning with a digit; {date} and {time} stand for the start in UTC",
  }).describe(
    "Name of the backup; {date} and {time} are replaced. Needed with `schedule` or `rebase_after`, which make several",
  ),
  storage: backupStorageSpec.describe("Where backups are kept: every backup is a folder in it"),
  log_archive: z.boolean().default(true)
    .describe("Keep every record of the log from the base on, so that any later moment can be restored"),
  parallel: z.int().min(1).max(1024).default(32).describe("Files copied at once"),
  checksum: z.enum(["auto", "sha256"]).default("auto").describe(
    "auto: a server-side copy is vouched for by the store's own MD5 where it gives one; sha256: every byte passes through Tidemark",
  ),
  share: z.enum(["auto", "never"]).default("auto").describe(
    "auto: files that the previous base has too are hard links where the storage is a folder; never: every base stands alone",
  ),
  storage_format: z.enum(["source", "v2"]).default("source").describe(
    "source: every segment as the source has it, those of storage V3 for Tidemark alone; v2: those of storage V3 are written as V2, which milvus-backup restores, too",
  ),
  roll: z.strictObject({
    size: size({ min: 64 * 1024, max: 1024 * MIB }).prefault("32MiB").describe(
      "Size at which a file of the log archive is closed",
    ),
    age: duration({ minMs: 100 }).prefault("1m").describe(
      "Age at which it is closed; what is younger is lost with the storage of the source",
    ),
    memory: size({ min: 1 * MIB }).prefault("128MiB").describe(
      "Bytes of open archive files over all pchannels; beyond it the largest is closed",
    ),
  }).prefault({}).describe("When the files of the log archive are closed"),
  schedule: z.string().optional().refine((text) => text === undefined || isCronExpression(text), {
    error: "expected a cron expression of five or six fields, for example 0 3 * * *",
  }).describe("New base at these times (cron expression)"),
  time_zone: z.string().default("UTC").describe("Time zone of `schedule`"),
  rebase_after: z.strictObject({
    size: size({ min: MIB }).optional().describe("New base when the archive is larger than this"),
    age: duration({ minMs: 1000 }).optional().describe("New base when the last one is older than this"),
  }).prefault({}).describe("When the archive has outgrown its base"),
  keep: retentionSpec.prefault({}).describe("Which backups `backup prune` keeps"),
}).superRefine((spec, context) => {
  const several = spec.schedule !== undefined || spec.rebase_after.size !== undefined ||
    spec.rebase_after.age !== undefined;
  if (several && !spec.name.includes("{")) {
    context.addIssue({
      code: "custom",
      path: ["name"],
      message: "schedule and rebase_after make several backups: put {date} and {time} into the name",
    });
  }
});

export type BackupSinkConfig = z.output<typeof backupSinkSpec>;
export type Retention = z.output<typeof retentionSpec>;
