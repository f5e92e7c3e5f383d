/** `backup show NAME`. */
import { EXIT } from "../../pipeline/errors.ts";
import { formatSize, plural } from "../../pipeline/units/mod.ts";
import { showBackup, type ShownBackup } from "../../sources/backup/mod.ts";
import { placeOfBackup, type PlaceOptions, withPlaces } from "../backup_places.ts";
import type { CommandContext } from "../context.ts";
import { printResult } from "../print.ts";
import { count } from "../render_status.ts";
import { restorableGaps, restorableMoments } from "../restorable_moments.ts";
import { table } from "../table.ts";

export async function backupShowCommand(context: CommandContext, name: string, options: PlaceOptions): Promise<number> {
  return await withPlaces(context, options, async (places) => {
    const place = await placeOfBackup(places, name, context.stop);
    const shown = await showBackup(place.store, name, context.stop);
    printResult(context, shown, () => render(shown));
    return EXIT.ok;
  });
}

function many(number: number | bigint, one: string): string {
  return `${count(number)} ${plural(number, one)}`;
}

function render(shown: ShownBackup): string[] {
  const kept = shown.collections.reduce((sum, { keptSegments }) => sum + keptSegments, 0);
  const rewritten = shown.collections.reduce((sum, { rewrittenSegments }) => sum + rewrittenSegments, 0);
  const facts: [string, string][] = [
    ["name", shown.name],
    ["made by", shown.writtenBy === "" ? shown.madeBy : `${shown.madeBy} (${shown.writtenBy})`],
    ["source", `Milvus ${shown.milvusVersion || "of unknown version"}`],
    ...(shown.pipeline === "" ? [] : [["pipeline", shown.pipeline] as [string, string]]),
    ...(shown.takenMs === 0 ? [] : [["taken", new Date(shown.takenMs).toISOString()] as [string, string]]),
    ["restorable", restorableMoments(shown.restorable, "the base only")],
    [
      "base",
      `${many(shown.collections.length, "collection")}, ${many(shown.segments, "segment")}, ${
        many(shown.rows, "row")
      } in files, ${formatSize(shown.bytes)}, ${many(shown.objects, "object")}`,
    ],
    ...(shown.encryption === undefined ? [] : [["encrypted", encryptionText(shown.encryption)] as [string, string]]),
    ...(kept === 0 ? [] : [
      [
        "storage V3",
        `${count(kept)} ${plural(kept, "segment is", "segments are")} kept whole; only Tidemark restores ${
          plural(kept, "it", "them")
        }`,
      ] as [string, string],
    ]),
    ...(rewritten === 0 ? [] : [
      [
        "storage V3",
        `${count(rewritten)} ${
          plural(rewritten, "segment is", "segments are")
        } written as storage V2, which milvus-backup restores, too`,
      ] as [
        string,
        string,
      ],
    ]),
    ...(shown.sharedBytes > 0n
      ? [["shared", `${formatSize(shown.sharedBytes)} with the base before it`] as [string, string]]
      : []),
    ...(shown.archive === undefined
      ? []
      : [["log", `${many(shown.archiveFiles, "file")}, ${formatSize(shown.archiveBytes)}`] as [string, string]]),
    ["access", `${many(shown.users, "user")}, ${many(shown.roles, "role")}`],
    ["databases", shown.databases.join(", ")],
  ];
  return [
    ...table(facts.map(([key, value]) => [key, value])),
    "",
    ...table([
      ["collection", "partitions", "segments", "rows", "size", "indexes", "aliases", "loaded"],
      ...shown.collections.map((item) => [
        `${item.database}.${item.name}`,
        count(item.partitions.length),
        count(item.segments),
        count(item.rows),
        formatSize(item.bytes),
        item.indexes.join(", ") || "-",
        item.aliases.join(", ") || "-",
        item.loaded ? "yes" : "no",
      ]),
    ], { right: [1, 2, 3, 4] }),
    ...restorableGaps(shown.restorable),
    ...shown.failed.map(({ name, reason }) => `missing  ${name}: ${reason}`),
    ...(shown.dirtyFiles > 0
      ? [
        `${count(shown.dirtyFiles)} ${
          plural(shown.dirtyFiles, "file of the source was", "files of the source were")
        } not named by its metadata; ${plural(shown.dirtyFiles, "it is", "they are")} not in the backup`,
      ]
      : []),
    ...shown.warnings.map((warning) => `warning  ${warning}`),
  ];
}

function encryptionText({ recipients, passphrase }: NonNullable<ShownBackup["encryption"]>): string {
  const whose = passphrase ? "with a key under a passphrase" : `for ${recipients.join(", ")}`;
  return `${whose}; only Tidemark restores it, milvus-backup cannot read it`;
}
