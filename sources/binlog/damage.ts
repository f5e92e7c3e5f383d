/** Errors about a file of a segment: each names both. */
import { TidemarkError, toTidemarkError } from "../../pipeline/errors.ts";

/** `what`: the file and its segment, for example `insert_log/1/2/3/100/4 (segment 3)`. */
export function damaged(what: string, detail: string, cause?: unknown): TidemarkError {
  return new TidemarkError("damaged", `${what} ${detail}`, {
    hint:
      "The file is not what Milvus wrote: compare it with the source's own copy, or let the source compact the segment.",
    cause,
  });
}

/** Gives a store's error about a file its segment; a missing file gets the hint that fits. */
export function fileError(thrown: unknown, what: string): TidemarkError {
  const error = toTidemarkError(thrown);
  if (error.code !== "not_found" || error.message.startsWith("Missing file")) return error;
  return new TidemarkError("not_found", `Missing file ${what}: ${error.message}`, {
    hint:
      "Metadata names it. The source may have compacted the segment and removed its files since: read the metadata again.",
    cause: error,
  });
}
