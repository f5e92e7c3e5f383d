/** `check`: dials everything that the configuration names, one line each. */
import { EXIT, type TidemarkError, toTidemarkError } from "../../pipeline/errors.ts";
import { checkFiles } from "../../pipeline/flow/mod.ts";
import type { CheckLine, Snapshot } from "../../pipeline/model/mod.ts";
import { makeSelector } from "../../pipeline/transforms/mod.ts";
import { checkCopy, checkReadable, checkWritable } from "../../stores/mod.ts";
import type { CommandContext } from "../context.ts";
import { printResult } from "../print.ts";
import { restorableMoments } from "../restorable_moments.ts";
import { checkRetention } from "../retention.ts";
import { smallFile } from "../small_file.ts";
import { table } from "../table.ts";

export async function checkCommand(context: CommandContext): Promise<number> {
  const components = context.components();
  const { stop } = context;
  const { sources } = context.config();
  // Together, so that ten dead servers do not take ten time-outs; printed in the order of the configuration.
  const parts: Promise<CheckLine[]>[] = [];
  if (sources.backup === undefined) {
    parts.push(attempt("sources.meta", async () => await (await components.meta()).check(stop)));
    parts.push(attempt("sources.log", async () => await (await components.log()).check(stop)));
    parts.push(attempt("sources.binlogs", async () => {
      const found = await (await components.binlogs()).check(stop);
      if (!found.some(({ absent }) => absent)) return found;
      // Where the metadata cannot be read its own line says so.
      return unlessNew(found, await (await components.meta()).snapshot(stop).catch(() => undefined));
    }));
    parts.push(attempt("log retention", () => retention(context)));
  } else {
    parts.push(attempt("sources.backup", async () => {
      const { backup, restorable } = await components.backup();
      return [{
        what: `backup ${backup.name}`,
        ok: "ok",
        detail: `${backup.store.location}: complete, can restore ${restorableMoments(restorable, "its base only")}`,
      }];
    }));
  }
  for (const name of Object.keys(context.config().sinks)) {
    parts.push(attempt(`sinks.${name}`, async () => {
      const { sink } = await components.sink(name);
      const lines = await sink.check(stop);
      if (sink.kind !== "rows" || sink.bulk === undefined) return lines;
      const { store, scratch } = sink.bulk;
      return [...lines, ...await checkWritable(`storage of the target ${store.location}`, store, scratch, stop)];
    }));
  }
  parts.push(attempt("state", async () => {
    const store = await components.state();
    const text = await store.read(stop);
    const detail = text === undefined
      ? `${store.location}: empty, a run begins with the base copy`
      : `${store.location}: a run goes on from it`;
    return [{ what: "state", ok: "ok", detail }];
  }));
  const lines = (await Promise.all(parts)).flat();
  stop.throwIfAborted();
  printResult(context, lines, () => table(lines.map((line) => [line.ok, line.what, line.detail])));
  return exitOf(lines);
}

/** A source that has flushed no row has no files yet, and perhaps no folder for them: that is no fault. */
export function unlessNew(lines: readonly CheckLine[], snapshot: Pick<Snapshot, "segments"> | undefined): CheckLine[] {
  const isNew = snapshot?.segments.every(({ binlogs, manifestPath }) => binlogs.length === 0 && manifestPath === "");
  return lines.map(({ absent, ...line }) =>
    absent && isNew === true
      ? {
        what: line.what,
        ok: "warn",
        detail: `${line.detail}. The metadata names no file yet, so none is missed so far`,
      }
      : line
  );
}

/** What takes metadata and log or files; where one of them does not answer, its own line has said so. */
async function retention(context: CommandContext): Promise<CheckLine[]> {
  const components = context.components();
  let snapshot: Snapshot;
  try {
    snapshot = await (await components.meta()).snapshot(context.stop);
  } catch {
    context.stop.throwIfAborted();
    return [{ what: "log retention", ok: "warn", detail: "not looked at: the metadata could not be read" }];
  }
  const { selects } = makeSelector(context.config().transforms.select);
  return [
    ...await attempt(
      "binlogs of the metadata",
      async () => await checkFiles(snapshot, await components.binlogs(), context.stop),
    ),
    ...await attempt("storage of the source", async () => await storage(context, snapshot)),
    ...await checkRetention(snapshot, await components.log(), selects, context.stop),
  ];
}

/** How the server of the source's files behaves, and whether what it holds is copied into the backups by the servers alone. */
async function storage(context: CommandContext, snapshot: Snapshot): Promise<CheckLine[]> {
  const components = context.components();
  const { stop } = context;
  const file = await smallFile(snapshot, await components.binlogs(), stop);
  if (file === undefined) return [];
  const lines = await checkReadable(`storage of the source ${file.store.location}`, file.store, file.key, stop);
  for (const [name, sink] of Object.entries(context.config().sinks)) {
    if (sink.type !== "backup") continue;
    const store = await components.backupStore(name);
    try {
      lines.push(await checkCopy(`sinks.${name} copying`, file.store, file.key, store, stop));
    } finally {
      await store.close();
    }
  }
  return lines;
}

async function attempt(what: string, run: () => Promise<CheckLine[]>): Promise<CheckLine[]> {
  try {
    return await run();
  } catch (thrown) {
    const error: TidemarkError = toTidemarkError(thrown);
    return [{
      what,
      ok: "fail",
      detail: error.hint === undefined ? error.message : `${error.message}. ${error.hint}`,
      code: error.code,
    }];
  }
}

/** Authentication before everything else: it is the more precise answer. */
function exitOf(lines: readonly CheckLine[]): number {
  const failed = lines.filter((line) => line.ok === "fail");
  if (failed.length === 0) return EXIT.ok;
  return failed.some((line) => line.code === "authentication") ? EXIT.authentication : EXIT.connection;
}
