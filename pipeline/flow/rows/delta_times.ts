/** The latest delete of each delta file that was read: files do not change, and most are read once. */
import type { BinlogSource, HybridTs, LogFile } from "../../model/mod.ts";

export class DeltaTimes {
  readonly #latest = new Map<string, HybridTs>();
  readonly #ofCollection = new Map<bigint, HybridTs>();

  /** Whether a file may hold a delete later than `ts`. Of one that was not read, nothing is taken for granted. */
  mayReach({ path }: LogFile, ts: HybridTs): boolean {
    const latest = this.#latest.get(path);
    return latest === undefined || latest > ts;
  }

  /** Whether any file of the collection that was read holds a delete later than `ts`. */
  reaches(collectionId: bigint, ts: HybridTs): boolean {
    return (this.#ofCollection.get(collectionId) ?? 0n) > ts;
  }

  /** The same source, whose deletes are noted as they are read. */
  noting(binlogs: BinlogSource, collectionId: bigint): BinlogSource {
    const note = (path: string, ts: HybridTs) => {
      this.#latest.set(path, ts);
      if (ts > (this.#ofCollection.get(collectionId) ?? 0n)) this.#ofCollection.set(collectionId, ts);
    };
    return {
      ...binlogs,
      async *deletes(file, signal) {
        let latest = 0n;
        for await (const mark of binlogs.deletes(file, signal)) {
          for (const ts of mark.timestamps) if (ts > latest) latest = ts;
          yield mark;
        }
        note(file.path, latest);
      },
    };
  }
}
