/** What was agreed with a target about columns that it does not take, and rows made of it. */
import type { AgreedColumn, Collection, WantedCollection } from "../model/mod.ts";
import { agree, agreedRows, type Agreement } from "../transforms/mod.ts";
import type { FlowDependencies, RowSinkSetup } from "./dependencies.ts";
import type { CollectionState } from "./state/mod.ts";

/** `own`: undefined where nothing of it was copied. `made`: the target has the collection, and the run goes on with it. */
export async function agreement(
  { unsupported = { policy: "hold" } }: Pick<FlowDependencies, "unsupported">,
  { sink }: Pick<RowSinkSetup, "sink">,
  { source, target }: WantedCollection,
  own: Pick<CollectionState, "agreed"> | undefined,
  made: boolean,
  signal: AbortSignal,
): Promise<Agreement> {
  const before = own?.agreed ?? [];
  const gaps = await sink.gaps?.({ source, target }, made, signal);
  if (gaps === undefined) return { columns: before, problem: undefined };
  return agree(unsupported, source, gaps, before);
}

/** Rows as the target is to have them; what that changes is counted. */
export function asAgreed(
  { agreed }: Pick<CollectionState, "agreed">,
  fieldsData: readonly Uint8Array[],
  rows: number,
): readonly Uint8Array[] {
  if (agreed.length === 0) return fieldsData;
  const made = agreedRows(agreed, fieldsData, rows);
  made.counts.forEach((count, at) => agreed[at]!.values += BigInt(count));
  return made.fieldsData;
}

/** Names of the columns that only a function makes: no copy has them as they are. */
export function madeByFunctions({ schema }: Pick<Collection, "schema">, agreed: readonly AgreedColumn[]): Set<string> {
  const plain = new Set(agreed.flatMap(({ change, field }) => change === "plain" ? [field] : []));
  return new Set(
    schema.fields.flatMap(({ isFunctionOutput, name }) => isFunctionOutput && !plain.has(name) ? [name] : []),
  );
}
