/** `backup restore`: a run whose source is a backup. */
import { TidemarkError } from "../../pipeline/errors.ts";
import type { CommandContext } from "../context.ts";
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
  return await runCommand(context, {
    once: options.until === undefined,
    until: options.until,
    baseOnly: options.baseOnly,
  });
}
