/**
 * Which rows of a refused request are to blame: first by the target's own limits, then by halves. All other rows are
 * written. A refusal that every row of a request shares says nothing of the rows: it stays one of the request.
 */
import type { TidemarkError } from "../../pipeline/errors.ts";
import type { RowRefusal } from "../../pipeline/model/mod.ts";
import { isContentRefusal, serverWords } from "./fault.ts";
import { type Unfit, unfitText } from "./row_check.ts";

export interface Isolation {
  readonly rows: number;
  /** Sends these rows as one request; throws what the target answers. */
  readonly send: (rows: Uint32Array) => Promise<void>;
  readonly unfit: () => readonly Unfit[];
}

/** After so many rows that nothing explains, and none that was taken, the rest is not asked for one by one. */
const MAX_UNEXPLAINED = 64;
/** More words than this may repeat a value. */
const MAX_WORDS = 300;

/** Writes what can be written of a request that was refused with `first`; returns the rows that cannot. Throws what is no refusal of rows. */
export async function isolateRows({ rows, send, unfit }: Isolation, first: TidemarkError): Promise<RowRefusal[]> {
  const all = Uint32Array.from({ length: rows }, (_, row) => row);
  const suspects = new Map(unfit().map((one) => [one.row, one]));
  const refused: RowRefusal[] = [];
  let taken = 0;
  let unexplained = 0;
  const halve = async (part: Uint32Array, error: TidemarkError): Promise<void> => {
    if (part.length === 1) {
      const row = part[0]!;
      const suspect = suspects.get(row);
      refused.push({ row, reason: suspect === undefined ? wordsOf(error) : unfitText(suspect) });
      if (suspect === undefined && ++unexplained > MAX_UNEXPLAINED && taken === 0) throw first;
      return;
    }
    const middle = part.length >> 1;
    await attempt(part.subarray(0, middle));
    await attempt(part.subarray(middle));
  };
  const attempt = async (part: Uint32Array): Promise<void> => {
    if (part.length === 0) return;
    try {
      await send(part);
      taken += part.length;
    } catch (error) {
      if (!isContentRefusal(error)) throw error;
      await halve(part, error);
    }
  };
  // What a schema limits the server refuses for sure; what it may take all the same is asked for by itself.
  const certain = [...suspects.values()].filter(({ kind }) => kind !== "json" && kind !== "number");
  for (const one of certain) refused.push({ row: one.row, reason: unfitText(one) });
  const rest = all.filter((row) => !suspects.has(row));
  if (suspects.size === 0) await halve(all, first);
  else {
    await attempt(rest);
    await attempt(all.filter((row) => suspects.has(row) && !certain.some((one) => one.row === row)));
  }
  if (unexplained === rows && rows > 1) throw first;
  return refused.sort((a, b) => a.row - b.row);
}

function wordsOf(error: TidemarkError): string {
  const words = serverWords(error);
  return `the target says: ${words.length > MAX_WORDS ? `${words.slice(0, MAX_WORDS)}…` : words}`;
}
