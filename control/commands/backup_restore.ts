/** `backup restore`: a run whose source is a backup. */
import { TidemarkError } from "../../pipeline/errors.ts";
import { isFinished, parseRunState, type RunOptions } from "../../pipeline/flow/mod.ts";
import { type HybridTs, isoOfHybrid } from "../../pipeline/model/mod.ts";
import { type BackupSource, checkMoment } from "../../sources/backup/mod.ts";
import type { CommandContext } from "../context.ts";
import { parseMoment } from "../time.ts";
import { runUntilEnd } from "./run.ts";

export interface RestoreOptions {
  /** As given on the command line. */
  readonly until: string | undefined;
  readonly baseOnly: boolean;
}

/** Ends when the backup's end, the given moment, or the base is on the target. */
export async function backupRestoreCommand(context: CommandContext, options: RestoreOptions): Promise<number> {
  if (context.config().sources.backup === undefined) {
    throw new TidemarkError("usage", "The configuration reads a running Milvus, a restore reads a backup", {
      hint:
        "Give a configuration with sources: { backup: { name: …, storage: … } }; config/examples/restore.yaml is one.",
    });
  }
  const source = await context.components().backup();
  const asked = options.baseOnly || (options.until === undefined && source.log === undefined)
    ? "base"
    : options.until ?? "end";
  const begun = await unfinished(context, asked);
  const end = begun === undefined ? endOf(source, asked, context.terminal.now()) : endFrom(begun);
  const what = `${source.backup.name} ${end.kind === "until" ? `to ${isoOfHybrid(end.ts)} (${end.ts})` : "(its base)"}`;
  context.log.info(begun === undefined ? `Restores ${what}` : `Goes on with the restore of ${what}`);
  for (const warning of source.backup.warnings) context.log.warning(warning);
  return await runUntilEnd(context, { end, restore: asked });
}

function endOf(source: BackupSource, asked: string, now: Date): RunOptions["end"] {
  if (asked === "base") return { kind: "base" };
  if (asked === "end" && source.restorable !== undefined) return endFrom(source.restorable.to.ts);
  // Without a range there is no moment to choose, and this says so.
  const ts = asked === "end" ? 0n : parseMoment(asked, now);
  checkMoment(source, ts);
  return endFrom(ts);
}

function endFrom(ts: HybridTs): RunOptions["end"] {
  return ts === 0n ? { kind: "base" } : { kind: "until", ts };
}

/** The moment of the restore that the state has begun and not finished. Throws `usage` if that was asked for otherwise. */
async function unfinished(context: CommandContext, asked: string): Promise<HybridTs | undefined> {
  const store = await context.components().state();
  const text = await store.read(context.stop);
  const state = text === undefined ? undefined : parseRunState(text, store.location);
  // One that stopped before it made anything binds nobody.
  const made = state !== undefined && [...state.sinks.values()].some(({ collections }) => collections.size > 0);
  if (state?.restore === undefined || !made || isFinished(state)) return undefined;
  if (state.restore.asked === asked) return state.restore.ts;
  throw new TidemarkError(
    "usage",
    `${store.location} holds a restore ${optionOf(state.restore.asked)} that is not finished`,
    {
      hint:
        `Finish it by the same command, or drop what it made on the target and remove that state; another restore beside it needs a \`pipeline\` name of its own.`,
    },
  );
}

function optionOf(asked: string): string {
  return asked === "base" ? "with --base-only" : asked === "end" ? "without --until" : `with --until "${asked}"`;
}
