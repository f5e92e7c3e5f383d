/** What was written before a state and an archive named their queue: made by the last commit that did not. */
import assert from "node:assert/strict";
import { parseRunState } from "../../../pipeline/flow/state/run_state.ts";
import { checkArchive, createArchiveLog } from "../../../sources/backup/mod.ts";
import { createFileStore, decodeManifest } from "../../../stores/mod.ts";
import { hungAfterMs } from "../../stack/patience.ts";

const FOLDER = new URL("../../samples/before_queues/", import.meta.url);
const signal = AbortSignal.timeout(hungAfterMs());
const AT = 470597853918265344n;

Deno.test("parseRunState goes on with a state that does not name its queue: it is Kafka's", async () => {
  const state = parseRunState(await Deno.readTextFile(new URL("state.json", FOLDER)), "s");
  assert.equal(state.queue, "kafka");
  const sink = state.sinks.get("replica")!;
  assert.deepEqual([...sink.positions], [["by-dev-rootcoord-dml_0", { offset: 25256n, tick: AT }]]);
  const own = sink.vchannels.get("by-dev-rootcoord-dml_0_449v0")!;
  assert.equal(own.offset, 25240n);
  assert.equal(own.held, true);
});

Deno.test("createArchiveLog, checkArchive and decodeManifest read a backup that does not name its queue", async () => {
  const store = createFileStore(FOLDER.pathname);
  const manifest = decodeManifest(await Deno.readTextFile(new URL("b/tidemark.json", FOLDER)), "m");
  assert.equal(manifest.queue, "kafka");
  assert.equal(manifest.cuts[0]!.offset, 41n);
  assert.deepEqual([...manifest.collections[0]!.startOffsets], [["p", 7n]]);
  const log = createArchiveLog({ store, name: "b", queue: manifest.queue });
  const { earliest, latest } = await log.bounds("p", signal);
  assert.deepEqual([earliest, latest], [41n, 52n]);
  const read: [bigint, string][] = [];
  // Behind the gap that it states.
  for await (const { records } of log.tail("p", 50n, undefined, signal)) {
    for (const { offset, value } of records) read.push([offset, new TextDecoder().decode(value!)]);
  }
  assert.deepEqual(read, [[50n, "value 50"], [51n, "value 51"]]);
  const report = await checkArchive(store, "b", { cuts: manifest.cuts }, signal);
  assert.deepEqual(report.findings.map(({ kind, detail }) => [kind, detail]), [
    ["gap", "records 44 to 49: removed by retention"],
  ]);
});
