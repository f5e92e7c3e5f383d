import { TidemarkError } from "../../pipeline/errors.ts";
import type { BinlogSource } from "../../pipeline/model/mod.ts";

/** The files of a source that has none. */
export const NO_FILES: BinlogSource = {
  verify: () =>
    Promise.resolve({ findings: [], deltaFiles: [], insertFiles: 0, insertBytes: 0n, listed: () => undefined }),
  rows: () => nothing(),
  deletes: () => nothing(),
  deletesIn: () => nothing(),
  object: ({ path }) => {
    throw new TidemarkError("not_found", `No file ${path}`);
  },
  check: () => Promise.resolve([]),
  pauseGc: () => Promise.resolve({ [Symbol.asyncDispose]: () => Promise.resolve() }),
  close: () => Promise.resolve(),
};

async function* nothing(): AsyncGenerator<never> {}
