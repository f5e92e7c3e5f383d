/**
 * Rows that a target refused: remembered in the state, or put aside as dead letters, before what they came with is
 * acknowledged. All other rows go on.
 */
import { TidemarkError } from "../../errors.ts";
import { type KeyField, keysOf, selectRows } from "../../columns/mod.ts";
import type { ColumnBatch, DeadLetter, HybridTs, Keys, RowRefusal, Segment } from "../../model/mod.ts";
import type { FlowDependencies } from "../dependencies.ts";
import { type CollectionState, keyText, type RefusedRow } from "../state/mod.ts";

/** Rows of a collection that are told one by one; the status counts them all. */
const TOLD = 3;

export interface RefusedWrite {
  readonly sink: string;
  readonly own: CollectionState;
  readonly key: KeyField;
  readonly hasPartitionKey: boolean;
  readonly partitionId: bigint;
  readonly partition: string;
  /** Of the request. */
  readonly rows: number;
  readonly fieldsData: readonly Uint8Array[];
  readonly refusals: readonly RowRefusal[];
  /** Where on the source a row of the request was read. */
  readonly origin: (row: number, key: bigint | string) => { readonly ts: HybridTs; readonly position: string };
}

export type KeepDependencies = Pick<FlowDependencies, "badRows" | "limits" | "report">;

/** Throws `refused` where there are more than can be remembered: then the collection is held as a whole. */
export async function keepRefused(deps: KeepDependencies, write: RefusedWrite): Promise<void> {
  const { sink, own, key, hasPartitionKey, partition, refusals, origin } = write;
  const keys = keysOf(write.fieldsData, key, write.rows).values;
  const partitionId = hasPartitionKey ? -1n : write.partitionId;
  const columns = rowByRow(write.fieldsData, write.rows, refusals.map(({ row }) => row));
  const letters = refusals.flatMap(({ row, reason }, i): DeadLetter[] => {
    const its = keys[row]!;
    const known = own.refusedRows.get(partitionId, its);
    const { ts, position } = origin(row, its);
    // What is known is newer: a base or an import brings what the log has passed.
    if (known !== undefined && known.ts > ts) return [];
    const fieldsData = columns[i]!;
    return [{ ...about(sink, own), partitionId, partition, key: its, ts, position, reason, fieldsData }];
  });
  await settleRefused(deps, own, letters);
}

function about(sink: string, { id, source, target }: CollectionState) {
  return {
    sink,
    collectionId: id,
    collection: `${source.db}.${source.name}`,
    target: `${target.db}.${target.name}`,
  };
}

/** By the policy. Throws `refused` where there are more than can be remembered. */
export async function settleRefused(
  { badRows, limits, report }: KeepDependencies,
  own: CollectionState,
  letters: readonly DeadLetter[],
): Promise<void> {
  if (letters.length === 0) return;
  const file = badRows.policy === "dead_letter" ? await badRows.letters.append(letters) : "";
  for (const letter of letters) {
    const { collection, key, reason, position } = letter;
    const isNew = own.refusedRows.get(letter.partitionId, key) === undefined;
    own.refusedRows.set(rowOf(letter, file));
    if (isNew && own.refusedRows.size <= TOLD) {
      const what = file === ""
        ? "held"
        : `put aside in ${badRows.policy === "dead_letter" ? badRows.letters.location : ""}`;
      report.warn(
        `refused ${letter.sink} ${own.id} ${key}`,
        `${collection}: the row with key ${keyText(key)} (${position}) is ${what}: ${reason}; all other rows go on`,
      );
    }
    if (own.refusedRows.size > limits.refusedRows || own.refusedRows.bytes > limits.refusedBytes) {
      throw tooMany(letter, own);
    }
  }
}

export interface RefusedDelete {
  readonly sink: string;
  readonly own: CollectionState;
  /** -1 where the key alone identifies a row. */
  readonly partitionId: bigint;
  /** Name; empty where the key alone identifies a row. */
  readonly partition: string;
  readonly keys: Keys;
  readonly refusals: readonly RowRefusal[];
  readonly origin: (key: bigint | string) => { readonly ts: HybridTs; readonly position: string };
}

/** Deletes that the target refused are held under each policy: there is no row to put aside. Throws as {@link keepRefused}. */
export function keepRefusedDeletes(
  { limits, report }: Pick<KeepDependencies, "limits" | "report">,
  { sink, own, partitionId, partition, keys, refusals, origin }: RefusedDelete,
): void {
  for (const { row, reason: words } of refusals) {
    const key = keys.values[row]!;
    const reason = `its delete: ${words}`;
    const { ts, position } = origin(key);
    own.refusedRows.set({ partitionId, partition, key, ts, position, reason, columns: [], file: "", isDelete: true });
    const { db, name } = own.source;
    if (own.refusedRows.size <= TOLD) {
      report.warn(
        `refused ${sink} ${own.id} ${key}`,
        `${db}.${name}: the delete of key ${keyText(key)} (${position}) is held: ${words}; all others go on`,
      );
    }
    if (own.refusedRows.size > limits.refusedRows) throw tooMany({ key, reason }, own);
  }
}

function rowOf(
  { partitionId, partition, key, ts, position, reason, fieldsData }: DeadLetter,
  file: string,
): RefusedRow {
  const columns = file === "" ? fieldsData.map((bytes) => bytes.toBase64()) : [];
  return { partitionId, partition, key, ts, position, reason, columns, file };
}

function tooMany({ key, reason }: Pick<DeadLetter, "key" | "reason">, { refusedRows }: CollectionState): TidemarkError {
  return new TidemarkError(
    "refused",
    `The target refused ${refusedRows.size} rows, more than a run remembers; the last has the key ${
      keyText(key)
    }: ${reason}`,
    {
      hint: "So many rows are no exception: set transforms.bad_rows to widen, give the target's collection the room " +
        "that the rows need, or mend them on the source; then start the run again.",
    },
  );
}

/** Of rows that were read from a segment: `selection` of a batch. */
export function segmentOrigin(
  { id }: Pick<Segment, "id">,
  { firstRow, timestamps }: Pick<ColumnBatch, "firstRow" | "timestamps">,
  selection: Uint32Array | undefined,
): RefusedWrite["origin"] {
  return (row) => {
    const inBatch = selection?.[row] ?? row;
    return { ts: timestamps?.[inBatch] ?? 0n, position: `segment ${id} row ${firstRow + inBatch}` };
  };
}

/** Each of the rows alone. */
export function rowByRow(fieldsData: readonly Uint8Array[], rows: number, wanted: readonly number[]): Uint8Array[][] {
  const split = (columns: readonly Uint8Array[], count: number): Uint8Array[][] => {
    if (count <= 1) return count === 0 ? [] : [[...columns]];
    const middle = count >> 1;
    return [
      ...split(selectRows(columns, count, { start: 0, end: middle }), middle),
      ...split(selectRows(columns, count, { start: middle, end: count }), count - middle),
    ];
  };
  return split(selectRows(fieldsData, rows, Uint32Array.from(wanted)), wanted.length);
}

/** Rows of a partition that the target does not have because it refused to make it. */
export function refusedWhole(words: string, rows: number): RowRefusal[] {
  const reason = `the target refused to make its partition: ${words}`;
  return Array.from({ length: rows }, (_, row) => ({ row, reason }));
}
