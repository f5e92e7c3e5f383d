/** `backup list`. */
import { EXIT, toTidemarkError } from "../../pipeline/errors.ts";
import { formatSize, plural } from "../../pipeline/units/mod.ts";
import {
  type BackupSummary,
  listBackups,
  type Restorable,
  showBackup,
  whereBackupsAre,
} from "../../sources/backup/mod.ts";
import { type PlaceOptions, withPlaces } from "../backup_places.ts";
import type { CommandContext } from "../context.ts";
import type { ObjectStore } from "../../pipeline/model/mod.ts";
import { printResult } from "../print.ts";
import { count } from "../render_status.ts";
import { restorableMoments } from "../restorable_moments.ts";
import { table } from "../table.ts";

export interface BackupListOptions extends PlaceOptions {
  /** Also the moments that each can be restored to. */
  readonly moments: boolean;
}

interface Listed extends BackupSummary {
  readonly place: string;
  /** Left out where it was not asked for, and where the base alone can be restored. */
  readonly restorable?: Restorable;
}

export async function backupListCommand(context: CommandContext, options: BackupListOptions): Promise<number> {
  return await withPlaces(context, options, async (places) => {
    const found: Listed[] = [];
    for (const { store, label } of places) {
      for (const backup of await listBackups(store, context.stop)) {
        const more = options.moments ? await moments(store, backup, context.stop) : {};
        found.push({ ...backup, ...more, place: label });
      }
    }
    const where = found.length > 0
      ? []
      : await Promise.all(places.map(async ({ store }) =>
        `No backups in ${store.location}. ${await whereBackupsAre(store, context.stop)}`
      ));
    printResult(
      context,
      found,
      () => found.length === 0 ? where : render(found, { withPlace: places.length > 1, withMoments: options.moments }),
    );
    return EXIT.ok;
  });
}

/** What cannot be read of one is its problem, and hides none of the others. */
async function moments(
  store: ObjectStore,
  { name, state, hasLog }: BackupSummary,
  signal: AbortSignal,
): Promise<{ readonly restorable?: Restorable; readonly problem?: string }> {
  if (state !== "complete" || !hasLog) return {};
  try {
    const { restorable } = await showBackup(store, name, signal);
    return restorable === undefined ? {} : { restorable };
  } catch (thrown) {
    signal.throwIfAborted();
    return { problem: toTidemarkError(thrown).message };
  }
}

interface Columns {
  readonly withPlace: boolean;
  readonly withMoments: boolean;
}

function render(found: readonly Listed[], { withPlace, withMoments }: Columns): string[] {
  const head = [
    "name",
    ...(withPlace ? ["sink"] : []),
    "taken",
    "state",
    "made by",
    "collections",
    "rows",
    "size",
    "log",
    ...(withMoments ? ["restorable"] : []),
    "",
  ];
  const numbers = withPlace ? [5, 6, 7] : [4, 5, 6];
  return table([
    head,
    ...found.map((backup) => [
      backup.name,
      ...(withPlace ? [backup.place] : []),
      backup.takenMs === 0 ? "-" : new Date(backup.takenMs).toISOString().slice(0, 19) + "Z",
      backup.state,
      backup.madeBy,
      backup.collections < 0 ? "-" : count(backup.collections),
      backup.rows < 0n ? "-" : count(backup.rows),
      formatSize(backup.bytes),
      backup.hasLog ? "yes" : "no",
      ...(withMoments ? [restorableMoments(backup.restorable, "the base only")] : []),
      backup.failed > 0 ? `${backup.failed} ${plural(backup.failed, "collection")} missing` : backup.problem,
    ]),
  ], { right: numbers });
}
