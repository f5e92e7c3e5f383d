import assert from "node:assert/strict";
import { tidemark } from "../../control/mod.ts";
import { createFileStore } from "../../stores/mod.ts";
import { collection, facts, records, segment, sinkOn, sourceStore } from "../conformance/archive_sink.ts";
import { fakeTerminal } from "./fake_terminal.ts";

const signal = new AbortController().signal;

Deno.test("backup list --moments says to which moments each backup can be restored, and hides none that cannot be read", async () => {
  const path = await Deno.makeTempDir();
  try {
    const store = createFileStore(path);
    const sink = sinkOn(store);
    const session = await sink.open({ resume: undefined, previous: undefined, nowMs: 0 }, signal);
    await session.begin(facts(), signal);
    await session.copySegment(segment(11n), (await sourceStore([segment(11n)])).object, [], signal);
    await session.finishBase([{ collection: collection(), segmentIds: [11n] }], [], signal);
    const all = records(100n, 10);
    const end = { offset: 110n, tick: all.at(-1)!.ts };
    await session.appendLog(facts().cuts[0]!.pchannel, all, end, signal);
    await session.flushLog(signal);
    await session.close();
    const list = async (...more: string[]) => {
      const terminal = fakeTerminal();
      assert.equal(await tidemark(["backup", "list", "--storage", path, ...more], terminal), 0, terminal.stderr);
      return terminal.stdout;
    };
    const [plain] = JSON.parse(await list("--json"));
    assert.equal("restorable" in plain, false);
    const [listed] = JSON.parse(await list("--json", "--moments"));
    assert.equal(listed.name, "b");
    assert.ok(Date.parse(listed.restorable.from.iso) <= Date.parse(listed.restorable.to.iso));
    assert.match(await list("--moments"), /restorable\n.*any moment from 20.* to 20/);
    const manifest = `${path}/b/tidemark.json`;
    await Deno.writeTextFile(manifest, (await Deno.readTextFile(manifest)).slice(0, -10));
    const [broken] = JSON.parse(await list("--json", "--moments"));
    assert.equal(broken.restorable, undefined);
    assert.notEqual(broken.problem, "");
  } finally {
    await Deno.remove(path, { recursive: true });
  }
});
