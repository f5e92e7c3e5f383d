/** `backup verify NAME`. */
import { EXIT } from "../../pipeline/errors.ts";
import { formatSize, plural } from "../../pipeline/units/mod.ts";
import { verifyBackup, type VerifyReport } from "../../sources/backup/mod.ts";
import { placeOfBackup, type PlaceOptions, withPlaces } from "../backup_places.ts";
import type { CommandContext } from "../context.ts";
import { printResult } from "../print.ts";
import { count } from "../render_status.ts";
import { restorableMoments } from "../restorable_moments.ts";
import { parseShare } from "../share.ts";

export interface BackupVerifyOptions extends PlaceOptions {
  /** As given: `10%`. */
  readonly sample: string;
  readonly deep: boolean;
}

/** Findings go to stdout; 15 if anything is lost, damaged or has a gap. */
export async function backupVerifyCommand(
  context: CommandContext,
  name: string,
  options: BackupVerifyOptions,
): Promise<number> {
  const sample = parseShare(options.sample, "--sample");
  return await withPlaces(context, options, async (places) => {
    const place = await placeOfBackup(places, name, context.stop);
    let said = 0;
    const report = await verifyBackup(place.store, name, {
      sample,
      deep: options.deep,
      onProgress: ({ objects, bytes, ofObjects }) => {
        const now = context.terminal.now().getTime();
        if (now - said < 2000) return;
        said = now;
        context.log.info(
          `${count(objects)} of ${count(ofObjects)} ${plural(ofObjects, "object")}, ${formatSize(bytes)} read`,
        );
      },
    }, context.stop);
    printResult(context, report, () => render(report));
    return report.ok ? EXIT.ok : EXIT.damage;
  });
}

function render(report: VerifyReport): string[] {
  const { read } = report;
  return [
    ...report.findings.map(({ kind, key, detail }) => `${kind.padEnd(8)} ${key}: ${detail}`),
    `${report.name}: ${report.ok ? "good" : "NOT good"}; ${count(report.found)} found, ${
      count(report.delayed)
    } delayed, ` +
    `${count(report.lost)} lost, ${count(report.damaged)} damaged; ${count(read.objects)} ${
      plural(read.objects, "object")
    } read (${formatSize(read.bytes)})` +
    (report.unchecked > 0 ? `, ${count(report.unchecked)} without a checksum` : "") +
    (report.rows === undefined ? "" : `, ${count(report.rows)} ${plural(report.rows, "row")} decoded`) +
    (report.rewrittenSegments === 0
      ? ""
      : `; ${count(report.rewrittenSegments)} ${
        plural(report.rewrittenSegments, "segment")
      } of storage V3 written as V2`),
    report.contentsRead
      ? `Restorable: ${restorableMoments(report.restorable, "the base only")}`
      : "Encrypted, and its key is not at hand: sizes and checksums were compared as it is stored, contents were not looked into",
  ];
}
