/** `backup list | show | verify | restore | prune`. */
import { type Command, Option } from "commander";
import type { PlaceOptions } from "./backup_places.ts";
import type { PruneOptions } from "./commands/backup_prune.ts";
import { examples, type ProgramParts } from "./program_parts.ts";
import type { SharedOptions } from "./session.ts";
import { runSession } from "./session_start.ts";

export function addBackupCommands(program: Command, parts: ProgramParts): void {
  const { terminal, done } = parts;
  const backup = program.command("backup").description("look after backups: Tidemark's own and milvus-backup's")
    .helpCommand(false);
  const place = (command: Command) =>
    parts.shared(command)
      .addOption(
        new Option(
          "--storage <place>",
          "a folder, s3://bucket/prefix, azure://container/prefix or gs://bucket/prefix, instead of --config",
        ),
      )
      .option("--endpoint <url>", "S3 server of --storage; keys come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
      .option("--region <region>", "region of an S3 bucket of --storage; left out, AWS_REGION, else us-east-1")
      .option("--virtual-host", "the bucket is in the host name of the S3 server, as AWS, OSS, COS and OBS want it")
      .addOption(
        new Option("--identity-file <file>", "secret key (AGE-SECRET-KEY-…) of the encrypted backups of --storage")
          .conflicts("passphraseFile"),
      )
      .option("--passphrase-file <file>", "the same for backups that a passphrase opens")
      .option("--customer-key-file <file>", "key that the service of --storage wants with each request (SSE-C)")
      .option("--sink <name>", "of several backup sinks of the configuration, this one");
  place(backup.command("list"))
    .description("the backups, half-written and half-removed ones too")
    .option("--moments", "also the moments that each can be restored to; reads the log archive's footers")
    .addHelpText(
      "after",
      examples([
        ["tidemark backup list --config pipeline.yaml", "of the configuration's backup sinks"],
        ["tidemark backup list --storage s3://backups/prod --endpoint http://minio:9000", "of any place"],
        ["tidemark backup list --storage s3://backups/prod --region eu-central-1 --virtual-host", "of AWS"],
      ]),
    )
    .action(async (options: PlaceOptions & { moments?: boolean }) => {
      const { backupListCommand } = await import("./commands/backup_list.ts");
      done(
        await runSession(
          terminal,
          options,
          (context) => backupListCommand(context, { ...options, moments: options.moments === true }),
        ),
      );
    });
  place(backup.command("show").argument("<name>", "name of the backup"))
    .description("what is in a backup: collections, sizes, rows, the time range that can be restored")
    .addHelpText(
      "after",
      examples([
        ["tidemark backup show nightly --storage /backups", "one backup of a folder"],
        ["tidemark backup show nightly --storage s3://backups --identity-file backup.key", "one that is encrypted"],
      ]),
    )
    .action(async (name: string, options: PlaceOptions) => {
      const { backupShowCommand } = await import("./commands/backup_show.ts");
      done(await runSession(terminal, options, (context) => backupShowCommand(context, name, options)));
    });
  place(backup.command("verify").argument("<name>", "name of the backup"))
    .description("every object against its checksum, the archive's continuity, metadata against files")
    .option("--sample <share>", "share of the objects whose bytes are read, such as 10%", "100%")
    .option("--deep", "decode every file and count its rows too")
    .addHelpText(
      "after",
      examples([
        ["tidemark backup verify nightly --storage /backups", "exit 15 with a list if something is delayed or lost"],
        ["tidemark backup verify nightly --config pipeline.yaml --sample 10%", "a tenth of the bytes"],
      ]),
    )
    .action(async (name: string, options: PlaceOptions & { sample: string; deep?: boolean }) => {
      const { backupVerifyCommand } = await import("./commands/backup_verify.ts");
      done(
        await runSession(
          terminal,
          options,
          (context) => backupVerifyCommand(context, name, { ...options, deep: options.deep === true }),
        ),
      );
    });
  parts.shared(backup.command("restore"))
    .description("run a pipeline whose source is a backup")
    .addOption(
      new Option("--until <time>", 'exactly to there: ISO time, hybrid timestamp, or "10m ago"').conflicts("baseOnly"),
    )
    .option("--base-only", "only the base, without the archived log")
    .addHelpText(
      "after",
      examples([
        ["tidemark backup restore --config restore.yaml", "all that the backup has"],
        ['tidemark backup restore --config restore.yaml --until "2026-11-19T14:05:00Z"', "as it was at that moment"],
      ]),
    )
    .action(async (options: SharedOptions & { until?: string; baseOnly?: boolean }) => {
      const { backupRestoreCommand } = await import("./commands/backup_restore.ts");
      done(
        await runSession(
          terminal,
          options,
          (context) => backupRestoreCommand(context, { until: options.until, baseOnly: options.baseOnly === true }),
        ),
      );
    });
  const keep = (command: Command) =>
    command
      .option("--keep-last <n>", "keep the newest n backups")
      .option("--keep-within <duration>", "keep every backup younger than this, such as 7d")
      .option("--keep-daily <n>", "keep the newest of each of the last n days that have one")
      .option("--keep-weekly <n>", "the same for weeks")
      .option("--keep-monthly <n>", "the same for months")
      .option("--time-zone <zone>", "where days, weeks and months begin, such as Europe/Berlin");
  keep(place(backup.command("prune")))
    .description("remove backups that no rule keeps; whole chains only, never the last good one")
    .option("--dry-run", "say what would go, and why; remove nothing")
    .option("--partial", "remove half-written backups too")
    .addHelpText(
      "after",
      examples([
        ["tidemark backup prune --config pipeline.yaml --dry-run", "by the rules of the sink's `keep`"],
        ["tidemark backup prune --storage /backups --keep-daily 7 --keep-weekly 4", "by rules given here"],
      ]),
    )
    .action(async (options: PlaceOptions & PruneOptions) => {
      const { backupPruneCommand } = await import("./commands/backup_prune.ts");
      done(await runSession(terminal, options, (context) => backupPruneCommand(context, options)));
    });
}
