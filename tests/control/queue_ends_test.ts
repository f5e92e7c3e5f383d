import assert from "node:assert/strict";
import { watchQueueEnds } from "../../control/queue_ends.ts";
import type { LogBounds, RunStatus } from "../../pipeline/model/mod.ts";
import { statusOf } from "../fakes/many_tasks.ts";
import { eventually } from "../stack/eventually.ts";

const CHANNEL = "by-dev-rootcoord-dml_0";

/** A queue of one channel whose end is moved by hand, and a run that stands at `position`. */
function rig(position: string, end: bigint) {
  const queue = { end, answers: true, asked: 0, bytesEach: undefined as bigint | undefined };
  const ends = watchQueueEnds({
    log: () =>
      Promise.resolve({
        queue: "kafka" as const,
        bounds: (): Promise<LogBounds> => {
          queue.asked++;
          if (!queue.answers) return Promise.reject(new Error("no broker"));
          return Promise.resolve({ earliest: 0n, latest: queue.end, topicId: "" });
        },
        measure: () => {
          const { bytesEach } = queue;
          const bytes = (from: bigint, to: bigint) => (to - from) * bytesEach!;
          return Promise.resolve(bytesEach === undefined ? undefined : { bytes });
        },
      }),
    channels: () => [CHANNEL],
    now: () => new Date("2026-11-21T12:00:00Z"),
    everyMs: 1,
    measureMs: 1,
  });
  const [channel] = statusOf("p", "running", 1).channels;
  const status = (at = position): RunStatus => ({
    ...statusOf("p", "running", 1),
    channels: [{ ...channel!, pchannel: CHANNEL, position: at, behind: undefined }],
  });
  const behind = (at?: string) => ends.with(status(at)).channels[0]!.behind?.records;
  const bytes = (at?: string) => ends.with(status(at)).channels[0]!.behind?.bytes;
  return { queue, ends, behind, bytes };
}

Deno.test("watchQueueEnds lets the distance of a reader that stands still grow with the queue's end", async () => {
  const { queue, ends, behind } = rig("100", 100n);
  await using _ = ends;
  await eventually("it was asked", () => behind() === 0);
  queue.end = 140n;
  await eventually("it is 40 records behind", () => behind() === 40);
  queue.end = 1_000_140n;
  await eventually("it is a million further", () => behind() === 1_000_040);
});

Deno.test("watchQueueEnds says at once how much is to be read after a restart, and nothing before the queue has said it", async () => {
  const { ends, behind } = rig("100", 5_100n);
  await using _ = ends;
  assert.equal(behind(), undefined);
  await eventually("the first answer says it", () => behind() !== undefined);
  assert.equal(behind(), 5000);
});

Deno.test("watchQueueEnds calls nobody behind where the source is idle, nor who has read past what the queue said last", async () => {
  const { queue, ends, behind } = rig("100", 100n);
  await using _ = ends;
  await eventually("it was asked often", () => queue.asked > 3);
  assert.equal(behind(), 0);
  assert.equal(behind("107"), 0);
});

Deno.test("watchQueueEnds keeps what a queue said last while it does not answer", async () => {
  const { queue, ends, behind } = rig("100", 130n);
  await using _ = ends;
  await eventually("it was asked", () => behind() === 30);
  queue.answers = false;
  const before = queue.asked;
  await eventually("it was asked in vain", () => queue.asked > before + 2);
  assert.equal(behind(), 30);
});

Deno.test("watchQueueEnds says bytes where the queue tells of sizes, and is silent, not at nothing, where it does not", async () => {
  const { queue, ends, behind, bytes } = rig("100", 130n);
  await using _ = ends;
  await eventually("it was asked", () => behind() === 30);
  assert.equal(bytes(), undefined);
  assert.equal(bytes("130"), undefined, "at the end, too");
  queue.bytesEach = 1000n;
  await eventually("it was asked again", () => bytes() === 30_000);
  queue.end = 150n;
  await eventually("it grows with the end", () => bytes() === 50_000);
  assert.equal(bytes("170"), 0);
  queue.bytesEach = undefined;
  await eventually("the queue says nothing any more", () => bytes() === undefined);
});
