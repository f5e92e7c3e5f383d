/**
 * Flushes that clients asked for, from the topic of requests (2.3.2 to 2.5). Best effort as that topic is: a flush that is
 * missed costs nothing but the moment at which the target writes its files.
 */
import { pause } from "../../pipeline/pause.ts";
import { TidemarkError } from "../../pipeline/errors.ts";
import type { HybridTs, LogSource } from "../../pipeline/model/mod.ts";
import { MsgType } from "../../pipeline/proto/gen/common_pb.ts";
import type { FlushRequest } from "../../pipeline/proto/gen/milvus_pb.ts";
import { followReplicate, REPLICATE_SUFFIX } from "./replicate.ts";

export interface RequestedFlush {
  readonly db: string;
  readonly collections: readonly string[];
  readonly ts: HybridTs;
}

/** The topic of requests of the cluster that `pchannel` belongs to, undefined where it has none. */
export function replicateTopic(topics: readonly string[], pchannel: string): string | undefined {
  const fitting = topics.filter((topic) =>
    topic.endsWith(REPLICATE_SUFFIX) && pchannel.startsWith(`${topic.slice(0, -REPLICATE_SUFFIX.length)}-`)
  );
  // `by-dev` also begins what belongs to `by-dev-2`.
  return fitting.sort((a, b) => b.length - a.length)[0];
}

/** The source makes the topic of requests with its first request, so that a young cluster has none yet. */
const LOOK_AGAIN_MS = 5000;

/** Flushes from now on, for ever; where the source keeps no such topic there are none. */
export async function* followFlushes(
  log: Pick<LogSource, "topics" | "bounds" | "tail">,
  pchannel: string,
  signal: AbortSignal,
  wait: (ms: number, signal: AbortSignal) => Promise<void> = pause,
): AsyncGenerator<RequestedFlush, void, void> {
  let topic = replicateTopic(await log.topics(signal), pchannel);
  // All of a topic that came meanwhile is from now on.
  let isNew = topic === undefined;
  while (topic === undefined) {
    await wait(LOOK_AGAIN_MS, signal);
    topic = replicateTopic(await log.topics(signal), pchannel);
  }
  while (true) {
    const { earliest, latest, topicId } = await log.bounds(topic, signal);
    const offset = isNew ? earliest : latest;
    isNew = false;
    try {
      for await (const { requests } of followReplicate(log, { topic, offset, topicId }, signal)) {
        for (const { type, ts, request } of requests) {
          if (type !== MsgType.Flush) continue;
          const { dbName, collectionNames } = request as unknown as FlushRequest;
          yield { db: dbName || "default", collections: collectionNames, ts };
        }
      }
    } catch (error) {
      // Retention passed us by, or the topic was made anew: what was missed does not matter.
      if (!(error instanceof TidemarkError) || error.code !== "position_lost") throw error;
    }
  }
}
