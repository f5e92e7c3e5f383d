/** How large a log's segments are: their entries as etcd says them, their bytes as a listing of their folders does. */
import type { LogMeasure, ObjectStore, Position } from "../../../pipeline/model/mod.ts";
import { woodpeckerPlace } from "../../../pipeline/positions/mod.ts";
import { measureOf, type Stretch } from "../stretches.ts";
import { DATA_FILE } from "./file_segment.ts";
import type { LogView } from "./logs.ts";

/** Segments that are looked at for one answer; of more that lie behind, the rest counts with the mean until it is asked again. */
const LISTED = 64;

export class SegmentSizes {
  readonly #store: Pick<ObjectStore, "list">;
  readonly #root: string;
  /** Topic -> segment -> what a finished one has. */
  readonly #finished = new Map<string, Map<bigint, Stretch>>();

  constructor(store: Pick<ObjectStore, "list">, root: string) {
    this.#store = store;
    this.#root = root;
  }

  /** Of the segments from `from` to `latest`, the log's end. One on Woodpecker's own servers counts with the mean. */
  async measure(view: LogView, from: Position, latest: Position, signal: AbortSignal): Promise<LogMeasure | undefined> {
    const [begin, end] = [woodpeckerPlace(from).segment, woodpeckerPlace(latest)];
    const before = this.#finished.get(view.topicId) ?? new Map<bigint, Stretch>();
    const known = new Map([...before].filter(([segment]) => segment >= begin));
    this.#finished.set(view.topicId, known);
    const stretches: Stretch[] = [];
    let left = LISTED;
    for (const { segment, state, lastEntry } of view.segments.values()) {
      if (segment < begin || segment > end.segment || view.cleaning.has(segment)) continue;
      const active = state === "active";
      const entries = segment === end.segment ? end.entry : active ? 0n : lastEntry + 1n;
      const bytes = known.get(segment)?.bytes ?? (left-- > 0 ? await this.#bytes(view.id, segment, signal) : 0n);
      const stretch = { number: segment, first: 0n, entries, bytes };
      if (!active && bytes > 0n) known.set(segment, stretch);
      stretches.push(stretch);
    }
    const listed = stretches.filter(({ bytes }) => bytes > 0n);
    const sum = (pick: (one: Stretch) => bigint) => listed.reduce((all, one) => all + pick(one), 0n);
    const [entries, bytes] = [sum((one) => one.entries), sum((one) => one.bytes)];
    if (entries === 0n) return undefined;
    const whole = stretches.map((one) => one.bytes > 0n ? one : { ...one, bytes: one.entries * bytes / entries });
    return measureOf(whole, (position) => {
      const { segment, entry } = woodpeckerPlace(position);
      return { number: segment, entry };
    });
  }

  /** Of its blocks; a compaction leaves those that it has merged for a while. 0: nothing lies there. */
  async #bytes(log: bigint, segment: bigint, signal: AbortSignal): Promise<bigint> {
    let [single, merged] = [0n, 0n];
    const folder = `${this.#root}/${log}/${segment}/`;
    for await (const { key, size } of this.#store.list(folder, signal)) {
      const name = key.slice(folder.length);
      if (/^m_\d+\.blk$/.test(name)) merged += size;
      else if (/^\d+\.blk$/.test(name) || name === DATA_FILE) single += size;
    }
    return merged > 0n ? merged : single;
  }
}
