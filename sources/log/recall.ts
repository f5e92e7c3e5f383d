/**
 * What a reader that goes on from a resume point would remember of the log before it. Producers of generation 1 may write a
 * message once more behind ticks that have passed it: whoever read the first one knows the second, a reader that began between
 * the two does not, and would apply it behind what came since.
 */
import { toTidemarkError } from "../../pipeline/errors.ts";
import type { LogEvent, LogSource, ResumePoint } from "../../pipeline/model/mod.ts";
import { positionsOf } from "../../pipeline/positions/mod.ts";
import type { DecodeContext, RecordDecoder } from "./decoded.ts";

/** Records that are read: a producer's retries come within seconds. */
const RECORDS = 32_768n;

export interface RecallRequest {
  readonly pchannel: string;
  readonly from: ResumePoint;
  readonly topicId: string | undefined;
  readonly decode: RecordDecoder;
  readonly context: DecodeContext;
}

/** The inserts and deletes of generation 1 among the records before the resume point. Where the log does not go back: none. */
export async function* recall(
  log: LogSource,
  { pchannel, from, topicId, decode, context }: RecallRequest,
  signal: AbortSignal,
): AsyncGenerator<LogEvent, void, void> {
  const { earliest } = await log.bounds(pchannel, signal);
  const back = positionsOf(log.queue).back(from.offset, RECORDS) ?? from.offset;
  const start = back < earliest ? earliest : back;
  if (start >= from.offset) return;
  try {
    for await (const { records, next } of log.tail(pchannel, start, topicId, signal)) {
      for (const record of records) {
        if (record.offset >= from.offset) return;
        const said = decode(record, context);
        const events = said.kind === "events"
          ? said.events
          : said.kind === "insert" || said.kind === "delete"
          ? [said]
          : [];
        yield* events.filter(({ generation }) => generation === 1);
      }
      if (next >= from.offset) return;
    }
  } catch (error) {
    // What the log has lost, or an archive never had, nobody remembers.
    if (signal.aborted || toTidemarkError(error).code !== "position_lost") throw error;
  }
}
