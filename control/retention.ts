/** Whether the log still holds what a run would need, and whether it will until the base is copied. */
import { toTidemarkError } from "../pipeline/errors.ts";
import {
  type CheckLine,
  isoOfHybrid,
  type LogSource,
  type Position,
  type Queue,
  type Snapshot,
} from "../pipeline/model/mod.ts";
import { positionsOf } from "../pipeline/positions/mod.ts";
import { plural } from "../pipeline/units/mod.ts";

/** What keeps the log of a queue for longer. */
const RETENTION: Readonly<Record<Queue, string>> = {
  kafka: "the topic's retention.ms or retention.bytes",
  rocksmq: "rocksmq.retentionTimeInMinutes of the source",
  pulsar: "the namespace's retention",
  woodpecker: "the source's streaming.walTruncate.retentionInterval",
  files: "nothing: the files are the log",
};

/** One line per pchannel of the selected collections: the oldest checkpoint against what the log holds. */
export async function checkRetention(
  snapshot: Snapshot,
  log: LogSource,
  selects: (db: string, name: string) => boolean,
  signal: AbortSignal,
): Promise<CheckLine[]> {
  if (log.queue === "files") return checkAges(snapshot, selects);
  const { format, distance } = positionsOf(log.queue);
  const wanted = new Map<string, Position | undefined>();
  for (const collection of snapshot.catalog.collections) {
    if (!selects(collection.dbName, collection.name)) continue;
    collection.vchannels.forEach((vchannel, index) => {
      const pchannel = collection.pchannels[index]!;
      const offset = snapshot.checkpoints.get(vchannel)?.offset ?? collection.startOffsets.get(pchannel);
      const known = wanted.get(pchannel);
      if (offset === undefined) wanted.set(pchannel, known);
      else if (known === undefined || offset < known) wanted.set(pchannel, offset);
    });
  }
  const lines: CheckLine[] = [];
  for (const [pchannel, offset] of wanted) {
    const what = `log ${pchannel}`;
    try {
      const { earliest, latest } = await log.bounds(pchannel, signal);
      if (offset === undefined) {
        lines.push({ what, ok: "warn", detail: "no checkpoint yet: the copy begins when there is one" });
      } else if (offset < earliest) {
        lines.push({
          what,
          ok: "fail",
          code: "position_lost",
          detail: `the copy needs ${format(offset)}, the log begins at ${
            format(earliest)
          }: flush the collections on it, and raise ${RETENTION[log.queue]}`,
        });
      } else if (offset > latest) {
        lines.push({
          what,
          ok: "fail",
          code: "position_lost",
          detail: `the metadata is at ${format(offset)}, the log ends at ${
            format(latest)
          }: the log was made anew, or sources.log is not the log of this Milvus`,
        });
      } else {
        const behind = distance(offset, latest);
        const records = behind === undefined ? "" : ` (${behind} ${plural(behind, "record")} behind the end)`;
        lines.push({
          what,
          ok: "ok",
          detail: `holds ${format(earliest)} to ${format(latest)}, the copy needs it from ${format(offset)}${records}`,
        });
      }
    } catch (thrown) {
      signal.throwIfAborted();
      const error = toTidemarkError(thrown);
      lines.push({ what, ok: "fail", code: error.code, detail: error.message });
    }
  }
  return lines;
}

/** Without a log a copy is as old as the checkpoints are: how far they are behind, one line. */
function checkAges(snapshot: Snapshot, selects: (db: string, name: string) => boolean): CheckLine[] {
  const vchannels = snapshot.catalog.collections.filter(({ dbName, name }) => selects(dbName, name))
    .flatMap((collection) => collection.vchannels);
  const times = vchannels.flatMap((vchannel) => snapshot.checkpoints.get(vchannel)?.ts ?? []);
  if (times.length === 0) return [];
  const oldest = times.reduce((min, ts) => ts < min ? ts : min);
  const detail = `the oldest of ${times.length} checkpoints is of ${isoOfHybrid(oldest)}: a copy reaches to there`;
  return [{ what: "age of the files", ok: "ok", detail }];
}
