/** `inspect log`: decoded, ordered events as JSON objects, from Kafka or from records of a file. */
import { leave } from "../../pipeline/leave.ts";
import { after, type LogFetch, type LogRecord, type LogSource, type ResumePoint } from "../../pipeline/model/mod.ts";
import { type InspectorOptions, LogInspector } from "./inspect/inspector.ts";
import type { Line } from "./inspect/line.ts";
import { REPLICATE_SUFFIX } from "./replicate.ts";

export type { InspectorOptions } from "./inspect/inspector.ts";
export type { Line } from "./inspect/line.ts";
export { parseRecords } from "./inspect/records_file.ts";

/** Lines of records that are all there is. What no tick confirms is not among them. */
export function inspectRecords(records: Iterable<LogRecord>, options: InspectorOptions = {}): Line[] {
  const inspector = new LogInspector({ redact: false, ...options });
  for (const record of records) {
    const from = options.from?.get(record.topic);
    if (from === undefined || record.offset >= from.offset) inspector.push(record);
  }
  return [...inspector.lines(true)];
}

/** Of a cluster's topics, those that `inspect log` reads: the channels named by default, and the requests of clients. */
export function inspectedTopics(topics: readonly string[], cluster: string): string[] {
  const channel = new RegExp(`^${RegExp.escape(cluster)}-rootcoord-dml_\\d+$`);
  return topics.filter((topic) => channel.test(topic) || topic === `${cluster}${REPLICATE_SUFFIX}`);
}

export interface InspectLogOptions extends InspectorOptions {
  readonly topics: readonly string[];
  /** Go on for ever; otherwise it ends where the log ended at the start. */
  readonly follow: boolean;
}

/** Lines as soon as their place is certain. Throws what {@link LogSource.tail} throws. */
export async function* inspectLog(
  log: LogSource,
  options: InspectLogOptions,
  signal: AbortSignal,
): AsyncGenerator<Line, void, void> {
  const stop = new AbortController();
  const inspector = new LogInspector(options);
  const readers = new Map<string, Reader>();
  try {
    for (const topic of options.topics) {
      const reader = await openReader(log, topic, options, AbortSignal.any([signal, stop.signal]));
      if (reader !== undefined) readers.set(topic, reader);
    }
    while (readers.size > 0) {
      const { topic, fetch } = await Promise.race([...readers.values()].map((reader) => reader.coming));
      const reader = readers.get(topic)!;
      for (const record of fetch.records) inspector.push(record);
      if (fetch.confirmed !== undefined) inspector.confirm(topic, fetch.confirmed, fetch.resume ?? fetch.next);
      yield* inspector.lines();
      const last = fetch.records.at(-1);
      const ended = !options.follow &&
        (last === undefined ? fetch.highWatermark >= reader.end : after(last.offset) >= reader.end);
      if (ended) {
        readers.delete(topic);
        await reader.close();
      } else reader.advance();
    }
    yield* inspector.lines(true);
  } finally {
    stop.abort();
    await Promise.all([...readers.values()].map((reader) => reader.close()));
  }
}

interface Arrival {
  readonly topic: string;
  readonly fetch: LogFetch;
}

interface Reader {
  /** Offset behind the last record to read. */
  readonly end: bigint;
  /** The next fetch; asked for once, however often it is raced. */
  coming: Promise<Arrival>;
  advance(): void;
  close(): Promise<void>;
}

/** Undefined for a topic that has nothing to read. */
async function openReader(
  log: LogSource,
  topic: string,
  options: InspectLogOptions,
  signal: AbortSignal,
): Promise<Reader | undefined> {
  const bounds = await log.bounds(topic, signal);
  const from: ResumePoint = options.from?.get(topic) ?? { offset: bounds.earliest, tick: 0n };
  if (!options.follow && from.offset >= bounds.latest) return undefined;
  const fetches = log.tail(topic, from.offset, bounds.topicId, signal)[Symbol.asyncIterator]();
  const next = async (): Promise<Arrival> => {
    const { done, value } = await fetches.next();
    if (done) throw signal.reason;
    return { topic, fetch: value };
  };
  const reader: Reader = {
    end: bounds.latest,
    coming: next(),
    advance() {
      reader.coming = next();
      reader.coming.catch(() => {});
    },
    async close() {
      await reader.coming.catch(() => {});
      await leave(fetches);
    },
  };
  reader.coming.catch(() => {});
  return reader;
}
