import assert from "node:assert/strict";
import type { LogSource } from "../../../pipeline/model/mod.ts";
import { followFlushes, replicateTopic } from "../../../sources/log/flushes.ts";

Deno.test("replicateTopic finds the topic of the pchannel's own cluster", () => {
  const topics = ["by-dev-replicate-msg", "by-dev-src-replicate-msg", "by-dev-src-rootcoord-dml_0"];
  assert.equal(replicateTopic(topics, "by-dev-src-rootcoord-dml_0"), "by-dev-src-replicate-msg");
  assert.equal(replicateTopic(topics, "by-dev-rootcoord-dml_3"), "by-dev-replicate-msg");
  assert.equal(replicateTopic(["by-dev-rootcoord-dml_3"], "by-dev-rootcoord-dml_3"), undefined);
});

Deno.test("followFlushes waits for the topic, which a young cluster makes with its first request, and reads all of it", async () => {
  const stop = new AbortController();
  let looks = 0;
  const read: [string, bigint][] = [];
  const log: Pick<LogSource, "topics" | "bounds" | "tail"> = {
    topics: () => Promise.resolve(looks++ < 2 ? ["by-dev-rootcoord-dml_0"] : ["by-dev-replicate-msg"]),
    bounds: () => Promise.resolve({ earliest: 3n, latest: 7n, topicId: "t" }),
    tail: async function* (topic, offset) {
      read.push([topic, offset]);
      stop.abort(new Error("read"));
      yield await Promise.reject(stop.signal.reason);
    },
  };
  const waited: number[] = [];
  const pause = (ms: number) => Promise.resolve(void waited.push(ms));
  const flushes = followFlushes(log, "by-dev-rootcoord-dml_0", stop.signal, pause);
  await assert.rejects(async () => await flushes.next(), { message: "read" });
  assert.equal(waited.length, 2);
  assert.deepEqual(read, [["by-dev-replicate-msg", 3n]]);
});
