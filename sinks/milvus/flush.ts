/** Flush: seals what is buffered and waits until it is in the target's storage. */
import { toTidemarkError } from "../../pipeline/errors.ts";
import type { TargetName } from "../../pipeline/model/mod.ts";
import { unless } from "./actual.ts";
import { METHOD, type MilvusClient } from "./client.ts";
import { targetText } from "./described.ts";

export type Pause = (ms: number, signal: AbortSignal) => Promise<void>;

const POLL_MS = 200;
/** Attempts, and the pause between them, at what 2.3 calls an unrecoverable error and nothing else, right after a restart. */
const ATTEMPTS = 30;
const AGAIN_MS = 1000;
const UNRECOVERABLE = /^[^:]+: unrecoverable error \(code \d+\)$/;

/** A collection that is gone meanwhile is passed over. Servers limit flushes (one in ten seconds a collection): it waits. */
export async function flushCollection(
  client: MilvusClient,
  target: TargetName,
  pause: Pause,
  signal: AbortSignal,
): Promise<void> {
  const request = { what: `flush ${targetText(target)}`, db: target.db, signal };
  const ask = async () => {
    for (let attempt = 1;; attempt++) {
      try {
        return await client.call(METHOD.flush, { dbName: target.db, collectionNames: [target.name] }, request);
      } catch (thrown) {
        if (attempt >= ATTEMPTS || !UNRECOVERABLE.test(toTidemarkError(thrown).message)) throw thrown;
        await pause(AGAIN_MS, signal);
      }
    }
  };
  const flushed = await unless(["not_found"], ask());
  if (flushed === undefined) return;
  const segmentIDs = [
    ...flushed.collSegIDs[target.name]?.data ?? [],
    ...flushed.flushCollSegIDs[target.name]?.data ?? [],
  ];
  const flushTs = flushed.collFlushTs[target.name] ?? 0n;
  while (true) {
    const state = await unless(
      ["not_found", "unsupported"],
      client.call(
        METHOD.getFlushState,
        { segmentIDs, flushTs, dbName: target.db, collectionName: target.name },
        request,
      ),
    );
    if (state === undefined || state.flushed) return;
    await pause(POLL_MS, signal);
  }
}
