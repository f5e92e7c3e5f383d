/** A file that is not there: gone with a compaction, or is the whole root another one? */
import { TidemarkError } from "../../errors.ts";
import type { BinlogSource } from "../../model/mod.ts";

/** Throws `not_found` with what to set where the source's files are not at the place that the configuration names at all. */
export async function refuseWrongRoot(binlogs: Pick<BinlogSource, "check">, signal: AbortSignal): Promise<void> {
  const fault = (await binlogs.check(signal)).find(({ ok, code }) => ok === "fail" && code === "not_found");
  if (fault !== undefined) throw new TidemarkError("not_found", `${fault.what}: ${fault.detail}`);
}
