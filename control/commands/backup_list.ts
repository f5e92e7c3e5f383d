/** `backup list`. */
import { EXIT } from "../../pipeline/errors.ts";
import { formatSize } from "../../pipeline/units/mod.ts";
import { type BackupSummary, listBackups, whereBackupsAre } from "../../sources/backup/mod.ts";
import { type PlaceOptions, withPlaces } from "../backup_places.ts";
import type { CommandContext } from "../context.ts";
import { printResult } from "../print.ts";
import { count } from "../render_status.ts";
import { table } from "../table.ts";

export async function backupListCommand(context: CommandContext, options: PlaceOptions): Promise<number> {
  return await withPlaces(context, options, async (places) => {
    const found: (BackupSummary & { readonly place: string })[] = [];
    for (const place of places) {
      for (const backup of await listBackups(place.store, context.stop)) found.push({ ...backup, place: place.label });
    }
    const where = found.length > 0
      ? []
      : await Promise.all(places.map(async ({ store }) =>
        `No backups in ${store.location}. ${await whereBackupsAre(store, context.stop)}`
      ));
    printResult(context, found, () => found.length === 0 ? where : render(found, places.length > 1));
    return EXIT.ok;
  });
}

function render(found: readonly (BackupSummary & { readonly place: string })[], withPlace: boolean): string[] {
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
      backup.failed > 0 ? `${backup.failed} collections missing` : backup.problem,
    ]),
  ], { right: numbers });
}
