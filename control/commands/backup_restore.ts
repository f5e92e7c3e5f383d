/** `backup restore`: a run whose source is a backup. */
import { TidemarkError } from "../../pipeline/errors.ts";
import { checkMoment } from "../../sources/backup/mod.ts";
import type { CommandContext } from "../context.ts";
import { parseMoment } from "../time.ts";
import { runCommand } from "./run.ts";

export interface RestoreOptions {
  /** As given on the command line. */
  readonly until: string | undefined;
  readonly baseOnly: boolean;
}

/** Ends when the backup's end, or the given moment, is on the target. */
export async function backupRestoreCommand(context: CommandContext, options: RestoreOptions): Promise<number> {
  if (context.config().sources.backup === undefined) {
    throw new TidemarkError("usage", "The configuration reads a running Milvus, a restore reads a backup", {
      hint:
        "Give a configuration with sources: { backup: { name: …, storage: … } }; config/examples/restore.yaml is one.",
    });
  }
  const source = await context.components().backup();
  if (options.baseOnly) {
    throw new TidemarkError(
      "unsupported",
      "A run cannot end at the base of a backup yet: --base-only is not available",
      {
        hint: `Leave it out to restore to the end of the archive${
          source.restorable === undefined ? "" : `, ${source.restorable.to.iso}`
        }, or give --until.`,
      },
    );
  }
  if (source.restorable === undefined) {
    throw new TidemarkError(
      "unsupported",
      `The backup ${source.backup.name} has no usable log archive: a run needs one to end at a moment`,
      {
        hint:
          `See what is wrong with tidemark backup verify ${source.backup.name}; its base can be restored with milvus-backup, whose layout it has.`,
      },
    );
  }
  if (options.until === undefined) return await runCommand(context, { once: false, until: source.restorable.to.ts });
  const ts = parseMoment(options.until, context.terminal.now());
  checkMoment(source, ts);
  return await runCommand(context, { once: false, until: ts });
}
