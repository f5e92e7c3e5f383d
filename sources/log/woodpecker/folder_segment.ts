/**
 * A segment in a folder, where it is either one file or, below a server of objects, blocks. Which of them shows with its first
 * entries only: etcd has the segment before there is anything of it.
 */
import { DATA_FILE, FileSegment } from "./file_segment.ts";
import { ObjectSegment } from "./object_segment.ts";
import type { SegmentPlace, SegmentReader, Step } from "./segment.ts";

export class FolderSegment implements SegmentReader {
  readonly #place: SegmentPlace;
  #found: SegmentReader | undefined;

  constructor(place: SegmentPlace) {
    this.#place = place;
  }

  async read(entry: bigint, signal: AbortSignal): Promise<Step> {
    const reader = await this.#reader(signal);
    const step = await reader.read(entry, signal);
    if (step.kind === "entries") this.#found = reader;
    return step;
  }

  async end(signal: AbortSignal): Promise<bigint> {
    return await (await this.#reader(signal)).end(signal);
  }

  async #reader(signal: AbortSignal): Promise<SegmentReader> {
    if (this.#found !== undefined) return this.#found;
    const { store, folder } = this.#place;
    if (await store.head(`${folder}/${DATA_FILE}`, signal) === undefined) return new ObjectSegment(this.#place);
    return this.#found = new FileSegment(this.#place);
  }
}
