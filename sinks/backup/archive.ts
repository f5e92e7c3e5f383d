/**
 * The log archive of one backup: per pchannel a chain of Parquet files, each written with one atomic put under a number that
 * must not exist yet. The last file's footer says how far the archive reaches and where to resume, so a kill at any moment
 * leaves a whole archive and nothing to reconcile: what was not closed is read from the queue again.
 */
import { TidemarkError } from "../../pipeline/errors.ts";
import {
  type ArchivedRecord,
  type ArchiveProgress,
  before,
  type ObjectStore,
  type Position,
  type Queue,
  type ResumePoint,
} from "../../pipeline/model/mod.ts";
import {
  archiveKey,
  checksumOf,
  createLogFileWriter,
  type FinishedLogFile,
  lastLogFile,
  type LogFileWriter,
  type LogGap,
} from "../../stores/mod.ts";

export interface ArchiveOptions {
  readonly store: ObjectStore;
  /** The backup's name. */
  readonly name: string;
  readonly queue: Queue;
  readonly roll: { readonly size: number; readonly age: number; readonly memory: number };
  readonly createdBy: string;
  /** Where the first file of a pchannel begins: the base's cut. Undefined: at the first record. */
  readonly startOffset: (pchannel: string) => Position | undefined;
  readonly now: () => number;
  /** For tests: a phase is passed. */
  readonly passed: (phase: "archive_roll" | "archive_rolled") => void;
}

export interface LogArchive {
  progress(pchannel: string, signal: AbortSignal): Promise<ArchiveProgress>;
  append(
    pchannel: string,
    records: readonly ArchivedRecord[],
    resume: ResumePoint,
    signal: AbortSignal,
  ): Promise<void>;
  durable(pchannel: string): ResumePoint | undefined;
  isDurable(pchannel: string): boolean;
  gap(pchannel: string, gap: LogGap): Promise<void>;
  rollDue(nowMs: number, signal: AbortSignal): Promise<void>;
  flush(signal: AbortSignal): Promise<void>;
  /** Forgets what is known of a pchannel, for files that came from elsewhere. Nothing of it may be open. */
  reread(pchannel: string): void;
  /** Bytes of the files closed by this object. */
  readonly bytes: bigint;
}

interface Chain {
  /** Of the last file that was finished, durable or on its way. */
  sequence: bigint;
  lastSum: string;
  /** Of the last record taken over. */
  lastOffset: Position;
  durableSequence: bigint;
  durableOffset: Position;
  durable: ResumePoint | undefined;
  /** Finished, but its put failed so far: nothing more is taken over until it is there. */
  closing: FinishedLogFile | undefined;
  open: LogFileWriter | undefined;
  openedMs: number;
  /** Where a restart would read if what is open were durable. */
  resume: ResumePoint | undefined;
  /** Of the whole chain so far: every file repeats them, so that the last one knows all. */
  gaps: LogGap[];
}

export function createLogArchive(options: ArchiveOptions): LogArchive {
  const { store, name, roll, createdBy, now } = options;
  const chains = new Map<string, Promise<Chain>>();
  /** One operation at a time per pchannel. */
  const turns = new Map<string, Promise<unknown>>();
  const known = new Map<string, Chain>();
  let closedBytes = 0n;

  const chainOf = (pchannel: string, signal: AbortSignal): Promise<Chain> => {
    const found = chains.get(pchannel);
    if (found !== undefined) return found;
    const loading = load(pchannel, signal);
    chains.set(pchannel, loading);
    loading.then((chain) => known.set(pchannel, chain), () => chains.delete(pchannel));
    return loading;
  };
  const load = async (pchannel: string, signal: AbortSignal): Promise<Chain> => {
    const last = await lastLogFile(store, name, pchannel, signal);
    return {
      sequence: last?.facts.sequence ?? 0n,
      lastSum: last?.sum ?? "",
      lastOffset: last?.facts.lastOffset ?? -1n,
      durableSequence: last?.facts.sequence ?? 0n,
      durableOffset: last?.facts.lastOffset ?? -1n,
      closing: undefined,
      durable: last?.facts.resume,
      open: undefined,
      openedMs: 0,
      resume: last?.facts.resume,
      gaps: [...last?.facts.gaps ?? []],
    };
  };
  const inTurn = <T>(pchannel: string, work: () => Promise<T>): Promise<T> => {
    const result = (turns.get(pchannel) ?? Promise.resolve()).then(work, work);
    turns.set(pchannel, result.catch(() => {}));
    return result;
  };
  const close = async (pchannel: string, chain: Chain, signal: AbortSignal): Promise<void> => {
    await put(pchannel, chain, signal);
    if (chain.open === undefined || chain.open.rows === 0 || chain.resume === undefined) return;
    chain.closing = chain.open.finish(chain.resume);
    chain.open = undefined;
    chain.sequence = chain.closing.facts.sequence;
    chain.lastSum = chain.closing.sum;
    await put(pchannel, chain, signal);
  };
  const put = async (pchannel: string, chain: Chain, signal: AbortSignal): Promise<void> => {
    if (chain.closing === undefined) return;
    const { bytes, sum, facts } = chain.closing;
    const key = archiveKey(name, pchannel, facts.sequence);
    options.passed("archive_roll");
    try {
      await store.put(key, bytes, { ifAbsent: true }, signal);
    } catch (error) {
      if (!(error instanceof TidemarkError && error.code === "refused")) throw error;
      // A put may have got through although its answer did not.
      const there = await store.head(key, signal);
      if (there === undefined) throw error;
      if (checksumOf(await store.get(key, undefined, signal)) !== sum) {
        throw new TidemarkError("locked", `${key} was written by another run`, {
          hint: "Only one run may write a backup's log: stop the other one, or give this one another name.",
          cause: error,
        });
      }
    }
    options.passed("archive_rolled");
    chain.closing = undefined;
    chain.durableSequence = facts.sequence;
    chain.durableOffset = facts.lastOffset;
    chain.durable = facts.resume;
    closedBytes += BigInt(bytes.length);
  };
  /** The largest open file, while all together are above the limit. */
  const relieve = async (signal: AbortSignal): Promise<void> => {
    const open = [...known].filter(([, chain]) => chain.open !== undefined);
    let held = open.reduce((sum, [, chain]) => sum + chain.open!.bytes, 0);
    for (const [pchannel, chain] of open.sort(([, a], [, b]) => b.open!.bytes - a.open!.bytes)) {
      if (held <= roll.memory) return;
      held -= chain.open?.bytes ?? 0;
      await inTurn(pchannel, () => close(pchannel, chain, signal));
    }
  };

  return {
    get bytes() {
      return closedBytes;
    },
    async progress(pchannel, signal) {
      const chain = await chainOf(pchannel, signal);
      return { sequence: chain.durableSequence, lastOffset: chain.durableOffset, resume: chain.durable };
    },
    durable: (pchannel) => known.get(pchannel)?.durable,
    isDurable(pchannel) {
      const chain = known.get(pchannel);
      return chain === undefined || chain.lastOffset === chain.durableOffset;
    },
    async append(pchannel, records, resume, signal) {
      await inTurn(pchannel, async () => {
        const chain = await chainOf(pchannel, signal);
        await put(pchannel, chain, signal);
        for (const archived of records) {
          if (archived.record.offset <= chain.lastOffset) continue;
          chain.open ??= begin(pchannel, chain, archived.record.offset);
          chain.open.append(archived);
          chain.lastOffset = archived.record.offset;
        }
        // Read again for another sink, the log is older than what is here.
        if (chain.resume === undefined || isBehind(chain.resume, resume)) chain.resume = resume;
        if (chain.open !== undefined && chain.open.bytes >= roll.size) await close(pchannel, chain, signal);
      });
      await relieve(signal);
    },
    async gap(pchannel, gap) {
      await inTurn(pchannel, async () => {
        const chain = known.get(pchannel);
        if (chain === undefined) {
          throw new TidemarkError("unexpected", `A gap was stated for ${pchannel} before its progress was read`);
        }
        chain.gaps.push(gap);
        chain.open?.gap(gap);
      });
    },
    async rollDue(nowMs, signal) {
      const due = [...known].filter(([, chain]) => chain.open !== undefined && nowMs - chain.openedMs >= roll.age);
      await Promise.all(due.map(([pchannel, chain]) => inTurn(pchannel, () => close(pchannel, chain, signal))));
    },
    async flush(signal) {
      await Promise.all([...known].map(([pchannel, chain]) => inTurn(pchannel, () => close(pchannel, chain, signal))));
    },
    reread(pchannel) {
      chains.delete(pchannel);
      known.delete(pchannel);
    },
  };

  function begin(pchannel: string, chain: Chain, offset: Position): LogFileWriter {
    const start = options.startOffset(pchannel);
    const first = start === undefined || start > offset ? offset : start;
    const writer = createLogFileWriter({
      queue: options.queue,
      pchannel,
      sequence: chain.sequence + 1n,
      // The first file claims everything from the cut on: the queue itself may have no record right there.
      previousLastOffset: chain.sequence === 0n ? before(first) : chain.lastOffset,
      previousSum: chain.lastSum,
    }, { createdBy });
    for (const gap of chain.gaps) writer.gap(gap);
    chain.openedMs = now();
    return writer;
  }
}

function isBehind(known: ResumePoint, next: ResumePoint): boolean {
  return next.offset > known.offset || (next.offset === known.offset && next.tick >= known.tick);
}
