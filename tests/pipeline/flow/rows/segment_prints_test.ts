import assert from "node:assert/strict";
import type { Snapshot } from "../../../../pipeline/model/mod.ts";
import { hybridFromMs } from "../../../../pipeline/model/mod.ts";
import { SegmentPrints } from "../../../../pipeline/flow/rows/segment_prints.ts";
import { FakeSource } from "../../../fakes/source.ts";
import { segmentOf } from "../../../fakes/segment.ts";

const DROPPED_MS = 1_795_000_000_000;

Deno.test("SegmentPrints takes files for known only once every cut of a listing has passed the last drop", async () => {
  const source = new FakeSource(["p_0"]);
  const books = source.create("books", "p_0");
  const taken = await source.meta.snapshot(new AbortController().signal);
  const where = { collectionId: books.id, partitionId: books.partitions[0]!.id };
  const droppedAt = BigInt(DROPPED_MS) * 1_000_000n;
  const live = segmentOf({ ...where, id: 2n, compactionFrom: [1n] });
  const snapshot: Snapshot = {
    ...taken,
    segments: [segmentOf({ ...where, id: 1n, state: "dropped", droppedAt }), live],
  };
  const prints = new SegmentPrints();
  // A file of the dropped segment may still be written while the checkpoint has not passed what is in it.
  const list = (...ms: number[]) => {
    const cuts = ms.map((at, i) => ({ vchannel: `v${i}`, pchannel: "p_0", offset: 0n, ts: hybridFromMs(at) }));
    prints.note(snapshot, books, { cuts: cuts.map((cut) => ({ ...cut, collectionId: books.id })), live: [live] });
    return prints.unchanged(snapshot, books, [live]);
  };
  assert.equal(list(DROPPED_MS - 9000, DROPPED_MS - 9000), false);
  assert.equal(list(DROPPED_MS - 1000, DROPPED_MS + 1000), false);
  assert.equal(list(DROPPED_MS, DROPPED_MS + 1000), false);
  assert.equal(list(DROPPED_MS + 1, DROPPED_MS + 1000), true);
  assert.equal(list(DROPPED_MS + 1, DROPPED_MS + 1000), true);
  const flushed = { ...snapshot, segments: [...snapshot.segments, segmentOf({ ...where, id: 3n })] };
  assert.equal(prints.unchanged(flushed, books, [live]), false);
});
