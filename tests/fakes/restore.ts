/** A restore over fakes: from the backup of a {@link FakeSource} to rows in memory. */
import type { HybridTs, ObjectStore } from "../../pipeline/model/mod.ts";
import { metaAt, openBackupSource } from "../../sources/backup/mod.ts";
import { FakePipeline } from "./pipeline.ts";
import { FakeRowSink } from "./row_sink.ts";
import { type FakeSource, followOf } from "./source.ts";

/** The rows of every collection as the backup has them at `ts`, whether that moment is offered or not. */
export async function restoreFake(
  source: FakeSource,
  store: ObjectStore,
  ts: HybridTs,
  name = "b",
): Promise<FakeRowSink["rows"]> {
  const backup = await openBackupSource(store, name);
  const target = new FakeRowSink("target");
  const pipeline = new FakePipeline(source, { rows: [target] });
  pipeline.override = {
    meta: metaAt(backup, ts),
    log: backup.log!,
    follow: followOf(backup.log!),
    binlogs: backup.binlogs,
  };
  await pipeline.start({ kind: "until", ts }, { restore: `${ts}` }).result;
  return target.rows;
}
