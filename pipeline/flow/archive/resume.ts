/**
 * Where the archive of a pchannel goes on. Its last word is its last tick, or a record before it that waits for a later one,
 * and it has every record from there to its last. Where the log's retention passed no more than those, nothing is lost: it
 * goes on behind them.
 */
import { after, type BackupSession, type LogSource, type ResumePoint } from "../../model/mod.ts";

export class ArchiveResume {
  readonly #log: Pick<LogSource, "bounds">;
  readonly #ahead = new Map<string, { readonly word: ResumePoint; readonly point: ResumePoint }>();

  constructor(log: Pick<LogSource, "bounds">) {
    this.#log = log;
  }

  /** `word`: of the archive. */
  point(pchannel: string, word: ResumePoint): ResumePoint {
    const ahead = this.#ahead.get(pchannel);
    return ahead !== undefined && isSame(ahead.word, word) ? ahead.point : word;
  }

  /** Moves positions on to where the archive of each pchannel goes on: what is durable decides. */
  async move(
    positions: Map<string, ResumePoint>,
    pchannels: Iterable<string>,
    session: Pick<BackupSession, "progress">,
    signal: AbortSignal,
  ): Promise<void> {
    for (const pchannel of pchannels) {
      const { resume } = await session.progress(pchannel, signal);
      const known = positions.get(pchannel);
      // Behind a stated gap the log goes on later than the archive's last word.
      if (resume !== undefined && (known === undefined || known.offset < resume.offset || known.tick > 0n)) {
        positions.set(pchannel, this.point(pchannel, resume));
      }
    }
  }

  /** Looks for those of `lost` that can go on behind what is archived. True if there is one. */
  async skipArchived(
    session: BackupSession,
    lost: readonly string[],
    { positions, topics }: {
      readonly positions: ReadonlyMap<string, ResumePoint>;
      readonly topics: ReadonlyMap<string, string>;
    },
    signal: AbortSignal,
  ): Promise<boolean> {
    let found = false;
    for (const pchannel of lost) {
      const { resume, lastOffset } = await session.progress(pchannel, signal);
      const own = positions.get(pchannel);
      // Behind a stated gap it goes on elsewhere, and what is archived ends before.
      if (resume === undefined || own === undefined || !isSame(own, resume)) continue;
      const known = topics.get(pchannel) ?? "";
      const { earliest, latest, topicId } = await this.#log.bounds(pchannel, signal, known);
      const offset = after(lastOffset);
      // A topic that was made anew holds other records under these offsets.
      if (topicId !== known || resume.offset >= earliest || offset < earliest || offset > latest) {
        continue;
      }
      this.#ahead.set(pchannel, { word: resume, point: { offset, tick: resume.tick } });
      found = true;
    }
    return found;
  }
}

function isSame(a: ResumePoint, b: ResumePoint): boolean {
  return a.offset === b.offset && a.tick === b.tick;
}
