/**
 * Held rows are tried again at each start, before the log goes on: each is what its key is on the source up to there,
 * since whatever the log did to the key later has made the row void.
 */
import { toTidemarkError } from "../../errors.ts";
import { mergeFieldsData } from "../../columns/mod.ts";
import type { DeadLetter, Keys, RowRefusal } from "../../model/mod.ts";
import type { FlowDependencies, RowSinkSetup } from "../dependencies.ts";
import { asAgreed } from "../agreed.ts";
import type { CollectionState, RefusedRow } from "../state/mod.ts";
import { settleRefused } from "./keep.ts";

/** Rows of a request. */
const AT_ONCE = 256;

interface Retried {
  readonly row: RefusedRow;
  readonly fieldsData: readonly Uint8Array[];
}

/** Writes the held rows of a collection; those that the target refuses again stay. Returns how many it took. */
export async function retryHeld(
  deps: Pick<FlowDependencies, "badRows" | "limits" | "report">,
  { sink }: RowSinkSetup,
  own: CollectionState,
  signal: AbortSignal,
): Promise<number> {
  const all = [...own.refusedRows].filter(({ file }) => file === "");
  if (all.length === 0) return 0;
  const before = own.refusedRows.size;
  const deletes = all.filter(({ isDelete }) => isDelete === true);
  const held = all.filter(({ isDelete }) => isDelete !== true).map((row): Retried => ({
    row,
    fieldsData: row.columns.map((text) => Uint8Array.fromBase64(text)),
  }));
  const write = rowWriter(sink, own, signal);
  const { id, source, target } = own;
  try {
    await deleteHeld(sink, own, deletes, signal);
    const refused = await write(held);
    await settleRefused(
      deps,
      own,
      refused.map(({ row, fieldsData, reason }): DeadLetter => ({
        ...row,
        sink: sink.name,
        collectionId: id,
        collection: `${source.db}.${source.name}`,
        target: `${target.db}.${target.name}`,
        fieldsData,
        reason,
      })),
    );
  } catch (thrown) {
    const error = toTidemarkError(thrown);
    // Its partition or the whole collection may be gone, which the log or the metadata is about to say.
    if (error.code !== "refused" && error.code !== "not_found" && error.code !== "unsupported") throw thrown;
    deps.report.warn(
      `retry ${sink.name} ${id}`,
      `Held rows of ${source.db}.${source.name} stay held: ${error.message}`,
    );
  }
  return before - own.refusedRows.size;
}

async function deleteHeld(
  sink: RowSinkSetup["sink"],
  own: CollectionState,
  rows: readonly RefusedRow[],
  signal: AbortSignal,
): Promise<void> {
  for (const some of Map.groupBy(rows, ({ partition }) => partition).values()) {
    const refusals: RowRefusal[] = [];
    await sink.remove({
      collectionId: own.id,
      target: own.target,
      partition: some[0]!.partition === "" ? undefined : some[0]!.partition,
      keys: keysFrom(some.map(({ key }) => key)),
      refused: (keys) => void refusals.push(...keys),
    }, signal);
    const left = new Set(refusals.map(({ row }) => row));
    some.forEach((row, i) => left.has(i) || own.refusedRows.delete(row));
  }
}

function keysFrom(keys: readonly (bigint | string)[]): Keys {
  return typeof keys[0] === "string"
    ? { kind: "varchar", values: keys as string[] }
    : { kind: "int64", values: BigInt64Array.from(keys as bigint[]) };
}

/** What a target did with rows that are tried again: those that it takes leave the state. */
export function rowWriter(sink: RowSinkSetup["sink"], own: CollectionState, signal: AbortSignal) {
  return async (rows: readonly Retried[]): Promise<(Retried & { readonly reason: string })[]> => {
    const refused: (Retried & { readonly reason: string })[] = [];
    for (const some of Map.groupBy(rows, ({ row }) => row.partition).values()) {
      for (let at = 0; at < some.length; at += AT_ONCE) {
        const part = some.slice(at, at + AT_ONCE);
        const merged = mergeFieldsData(part.map(({ fieldsData }) => ({ rows: 1, fieldsData })));
        // The schema changed in between: each as it is.
        const requests = merged === undefined
          ? part.map((one) => ({ part: [one], fieldsData: one.fieldsData }))
          : [{ part, fieldsData: merged }];
        for (const request of requests) refused.push(...await send(sink, own, request, signal));
      }
    }
    return refused;
  };
}

async function send(
  sink: RowSinkSetup["sink"],
  own: CollectionState,
  { part, fieldsData }: { readonly part: readonly Retried[]; readonly fieldsData: readonly Uint8Array[] },
  signal: AbortSignal,
): Promise<(Retried & { readonly reason: string })[]> {
  const refusals: RowRefusal[] = [];
  await sink.write({
    collectionId: own.id,
    target: own.target,
    partition: part[0]!.row.partition,
    mode: "upsert",
    rows: part.length,
    fieldsData: asAgreed(own, fieldsData, part.length),
    refused: (rows) => void refusals.push(...rows),
  }, signal);
  const reasons = new Map(refusals.map(({ row, reason }) => [row, reason]));
  part.forEach(({ row }, i) => reasons.has(i) || own.refusedRows.delete(row));
  return [...reasons].map(([row, reason]) => ({ ...part[row]!, reason }));
}
