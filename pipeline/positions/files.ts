/** No queue is read: what is followed are the files, whose only measure is time. One place stands for all. */
import type { PositionForms } from "../model/mod.ts";

const TEXT = "files";

export const filesPositions: PositionForms = {
  queue: "files",
  format: () => TEXT,
  parse: (text) => text === TEXT ? 0n : undefined,
  // Whatever queue wrote them: nobody goes there.
  fromMilvus: () => 0n,
  toMilvus: () => new Uint8Array(0),
  distance: () => undefined,
  back: () => undefined,
};
