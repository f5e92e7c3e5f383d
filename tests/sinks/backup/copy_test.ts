/** How one object comes into a backup, and how often its bytes count for the limit of bandwidth. */
import assert from "node:assert/strict";
import { copyObject, type CopyTarget } from "../../../sinks/backup/copy.ts";
import { checksumOf, createMemoryStore, type TokenBucket, withBandwidth } from "../../../stores/mod.ts";

const never = new AbortController().signal;

for (const [how, size] of [["server", 1000], ["streamed", 1000], ["streamed", (8 << 20) + 1]] as const) {
  Deno.test(`copyObject of ${size} bytes, ${how}, counts them once`, async () => {
    let taken = 0;
    const bandwidth: TokenBucket = { take: (bytes) => Promise.resolve(void (taken += bytes)) };
    const source = withBandwidth(createMemoryStore(), bandwidth);
    const bytes = new Uint8Array(size).fill(3);
    await source.put("a", bytes);
    taken = 0;
    const store = createMemoryStore();
    const serverSide: CopyTarget["serverSide"] = how === "server" ? { sum: () => Promise.resolve("md5:0") } : undefined;
    const job = { source, sourceKey: "a", path: "binlogs/a", info: (await source.head("a"))! };
    const copied = await copyObject(job, { store, name: "b", previous: undefined, bandwidth, serverSide }, never);
    assert.deepEqual([copied.how, taken], [how, size]);
    assert.equal(copied.object.sum, how === "server" ? "md5:0" : checksumOf(bytes));
    assert.deepEqual(await store.get("b/binlogs/a"), bytes);
  });
}
