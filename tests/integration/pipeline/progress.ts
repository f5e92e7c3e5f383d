/** How far a run is, by the status that it writes. */
import { parseJson } from "../../../pipeline/json.ts";
import type { RunStatus } from "../../../pipeline/model/mod.ts";

/** The status in a state file; undefined while there is none. */
export async function statusIn(path: string): Promise<RunStatus | undefined> {
  try {
    return (parseJson(await Deno.readTextFile(path)) as unknown as { status: RunStatus }).status;
  } catch {
    return undefined;
  }
}

/** What moves as a run gets on, without what moves as time passes. */
export function progressOf(status: RunStatus | undefined): string {
  if (status === undefined) return "no status yet";
  const collections = status.collections.map((one) => {
    const base = `${one.segmentsDone}/${one.segmentsTotal} segments, ${one.rowsDone}/${one.rowsTotal} rows`;
    const held = one.blockedReason === undefined ? "" : ` (${one.blockedReason})`;
    return `${one.db}.${one.name} ${one.phase} ${base}, +${one.inserted} -${one.deleted}${held}`;
  });
  const waiting = status.sinks.filter(({ state }) => state === "waiting").map((one) => `${one.name}: ${one.reason}`);
  const error = status.lastError === undefined ? [] : [`last error: ${status.lastError}`];
  return [`phase ${status.phase}`, ...collections, ...waiting, ...error].join("; ");
}
