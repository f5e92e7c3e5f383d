/** In the place of a log where none is read: whoever asks for its records is told. */
import { TidemarkError } from "../../../pipeline/errors.ts";
import type { LogSource } from "../../../pipeline/model/mod.ts";
import { formatDuration } from "../../../pipeline/units/mod.ts";
import type { FilesLogConfig } from "./spec.ts";

export function openFilesLog({ poll, flush }: Pick<FilesLogConfig, "poll" | "flush">): LogSource {
  const refuse = (): never => {
    throw new TidemarkError("config", "sources.log is of type files: there is no log to read", {
      hint:
        "A backup sink needs log_archive: false beside it; records of the log are seen by naming the source's queue.",
    });
  };
  const asked = flush === undefined ? "" : `; ${flush.address} is asked to flush every ${formatDuration(flush.every)}`;
  return {
    queue: "files",
    topics: () => Promise.resolve([]),
    bounds: () => Promise.resolve().then(refuse),
    tail: refuse,
    check: () =>
      Promise.resolve([{
        what: "log",
        ok: "ok",
        detail: `none is read: the copy follows the files, looked at every ${formatDuration(poll)}${asked}`,
      }]),
    close: () => Promise.resolve(),
  };
}
