/**
 * Flushes that clients asked for, from the topic of requests (2.3.2 to 2.5). Best effort as that topic is: a flush that is
 * missed costs nothing but the moment at which the target writes its files.
 */
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

/** Flushes from now on, for ever; ends at once where the source keeps no such topic. */
export async function* followFlushes(
  log: LogSource,
  pchannel: string,
  signal: AbortSignal,
): AsyncGenerator<RequestedFlush, void, void> {
  const topic = replicateTopic(await log.topics(signal), pchannel);
  if (topic === undefined) return;
  while (true) {
    const { latest: offset, topicId } = await log.bounds(topic, signal);
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
