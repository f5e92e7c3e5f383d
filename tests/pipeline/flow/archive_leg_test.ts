/** What an archive says that the catalog was like. */
import assert from "node:assert/strict";
import { hybridFromMs } from "../../../pipeline/model/mod.ts";
import { catalogAt, openBackupSource, showBackup } from "../../../sources/backup/mod.ts";
import { createMemoryStore } from "../../../stores/mod.ts";
import { FakePipeline } from "../../fakes/pipeline.ts";
import { restoreFake } from "../../fakes/restore.ts";
import { FakeSource } from "../../fakes/source.ts";

/** The clock of the run against the source's, which a test moves on by some milliseconds. */
for (const [clock, ms] of [["ahead of", 100_000n], ["behind", -100_000n]] as const) {
  Deno.test(`run --once gives its end the catalog that it read, with its own clock ${clock} the source's`, async () => {
    const source = new FakeSource();
    const vault = createMemoryStore();
    const pipeline = new FakePipeline(source, { vaults: { vault } });
    pipeline.override = { now: () => Number((source.now >> 18n) + ms) };
    source.create("stays", "p_0");
    source.create("goes", "p_1");
    await pipeline.once();
    source.insert("stays", [1n, 1n]);
    source.insert("goes", [2n, 2n]);
    source.tick();
    source.drop("goes");
    const dropped = source.now;
    source.insert("stays", [3n, 3n]);
    const { upTo } = await pipeline.once();
    assert.ok(upTo > dropped);
    const opened = await openBackupSource(vault, "b");
    assert.equal(opened.history.notes.at(-1)!.ts <= upTo, true, "the note counts at the end of the run");
    assert.deepEqual(catalogAt(opened, upTo).collections.map(({ name }) => name), ["stays"]);
    const { restorable } = await showBackup(vault, "b");
    assert.equal(restorable?.to.ts, upTo, "the channel that does not tick any more holds nothing back");
    assert.deepEqual(await restoreFake(source, vault, upTo), source.rows);
    assert.ok(ms < 0n || hybridFromMs(Number((source.now >> 18n) + ms)) > upTo);
  });
}
