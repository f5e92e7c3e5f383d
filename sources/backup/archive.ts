/** The log archive as a log: the same records with the same offsets, ending where the archive ends. */
import { TidemarkError } from "../../pipeline/errors.ts";
import {
  after,
  type ArchivedRecord,
  before,
  type LogSource,
  type ObjectStore,
  type Position,
  type Queue,
  type Silence,
} from "../../pipeline/model/mod.ts";
import { positionsOf } from "../../pipeline/positions/mod.ts";
import {
  listLogChannels,
  listLogFiles,
  type LogFileEntry,
  type LogFileFacts,
  reachOf,
  readLogFacts,
  readLogFile,
  readSilences,
} from "../../stores/mod.ts";
import { plural } from "../../pipeline/units/mod.ts";

export interface ArchiveLogOptions {
  readonly store: ObjectStore;
  /** The backup's name. */
  readonly name: string;
  /** Whose log it is. */
  readonly queue: Queue;
}

/** `tail` ends at the archive's end instead of waiting; otherwise the contract of LogSource. */
export function createArchiveLog({ store, name, queue }: ArchiveLogOptions): LogSource {
  const { format } = positionsOf(queue);
  const listings = new Map<string, Promise<LogFileEntry[]>>();
  const footers = new Map<string, Promise<LogFileFacts>>();
  const filesOf = (pchannel: string, signal: AbortSignal): Promise<LogFileEntry[]> => {
    const found = listings.get(pchannel) ?? listLogFiles(store, name, pchannel, signal);
    listings.set(pchannel, found);
    found.catch(() => listings.delete(pchannel));
    return found;
  };
  const factsOf = (entry: LogFileEntry, signal: AbortSignal): Promise<LogFileFacts> => {
    const found = footers.get(entry.key) ?? readLogFacts(store, entry, signal);
    footers.set(entry.key, found);
    found.catch(() => footers.delete(entry.key));
    return found;
  };
  let silences: Promise<ReadonlyMap<string, Silence>> | undefined;
  const topicIdOf = (pchannel: string) => `backup:${name}:${pchannel}`;

  const source: LogSource = {
    queue,
    topics: (signal) => listLogChannels(store, name, signal),
    async bounds(topic, signal) {
      const files = await filesOf(topic, signal);
      const first = files[0];
      const last = files.at(-1);
      if (first === undefined || last === undefined) throw noArchive(store, name, topic);
      return {
        // What lies between belongs to collections that the archive does not hold.
        earliest: after((await factsOf(first, signal)).previousLastOffset),
        latest: after((await factsOf(last, signal)).lastOffset),
        topicId: topicIdOf(topic),
      };
    },
    async *tail(topic, offset, topicId, signal) {
      const { earliest, latest } = await source.bounds(topic, signal);
      if (topicId !== undefined && topicId !== topicIdOf(topic)) {
        throw new TidemarkError("position_lost", `The position is of ${topicId}, the archive is ${topicIdOf(topic)}`, {
          hint: "Restore the backup from its beginning.",
        });
      }
      if (offset < earliest || offset > latest) {
        throw new TidemarkError(
          "position_lost",
          `The archive of ${topic} in backup ${name} holds ${format(earliest)} to ${format(before(latest))}, not ${
            format(offset)
          }`,
          { hint: "Restore to a time that `tidemark backup show` names as restorable." },
        );
      }
      const files = await filesOf(topic, signal);
      let at = await firstFile(files, offset, (entry) => factsOf(entry, signal));
      let previous: LogFileFacts | undefined;
      for (; at < files.length; at++) {
        const entry = files[at]!;
        const facts = await factsOf(entry, signal);
        checkLink(previous, facts, entry.key, offset);
        for await (const records of readLogFile(store, entry, offset, signal)) {
          const last = records.at(-1)?.record.offset;
          if (last === undefined) continue;
          yield { records: records.map(({ record }) => record), highWatermark: latest, next: after(last) };
        }
        previous = facts;
      }
      const silence = (silences ??= readSilences(store, name, signal));
      silence.catch(() => silences = undefined);
      const { tick } = (await factsOf(files.at(-1)!, signal)).resume;
      const complete = reachOf(tick, (await silence).get(topic));
      // Nothing follows, and nothing was written up to then: what is asked for up to there is all here.
      if (complete > tick) yield { records: [], highWatermark: latest, next: latest, complete };
    },
    async check(signal) {
      const what = `log archive of backup ${name}`;
      const topics = await source.topics(signal);
      return [{
        what,
        ok: topics.length > 0 ? "ok" : "warn",
        detail: `${topics.length} ${plural(topics.length, "pchannel")}`,
      }];
    },
    async close() {},
  };
  return source;
}

/** Records of one pchannel with what the archive knows of them, for `inspect`. */
export async function* archivedRecords(
  store: ObjectStore,
  name: string,
  pchannel: string,
  fromOffset: Position,
  signal: AbortSignal,
): AsyncIterable<ArchivedRecord[]> {
  const files = await listLogFiles(store, name, pchannel, signal);
  const first = await firstFile(files, fromOffset, (entry) => readLogFacts(store, entry, signal));
  for (const entry of files.slice(first)) yield* readLogFile(store, entry, fromOffset, signal);
}

/** Index of the first file that reaches `offset`: files are in offset order, so a binary search over their footers. */
async function firstFile(
  files: readonly LogFileEntry[],
  offset: Position,
  factsOf: (entry: LogFileEntry) => Promise<LogFileFacts>,
): Promise<number> {
  let low = 0;
  let high = files.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((await factsOf(files[middle]!)).lastOffset < offset) low = middle + 1;
    else high = middle;
  }
  return low;
}

function checkLink(previous: LogFileFacts | undefined, facts: LogFileFacts, key: string, from: Position): void {
  const { format } = positionsOf(facts.queue);
  const gap = facts.gaps.find(({ to }) => to > from);
  if (gap !== undefined) {
    throw new TidemarkError(
      "position_lost",
      `${key} says that the records ${format(gap.from)} to ${format(before(gap.to))} are missing: ${gap.reason}`,
      {
        hint: "Restore to a time before the gap, or from a backup whose base is after it.",
      },
    );
  }
  if (previous === undefined) return;
  if (facts.sequence !== previous.sequence + 1n || facts.previousLastOffset !== previous.lastOffset) {
    throw new TidemarkError(
      "damaged",
      `${key} follows ${
        format(facts.previousLastOffset)
      }, but the file before it (number ${previous.sequence}) ends at ${format(previous.lastOffset)}`,
      { hint: "A file of the archive is missing: `tidemark backup verify` names it." },
    );
  }
}

function noArchive(store: ObjectStore, name: string, topic: string): TidemarkError {
  return new TidemarkError("not_found", `Backup ${name} in ${store.location} has no log archive of ${topic}`, {
    hint: "Restore its base only, or use a backup made with log_archive: true.",
  });
}
