/** How the source's rows must look on one target, for the comparison: as was agreed about columns that it does not take. */
import { countValues, decodeFieldData, describeFieldData, rowDigests } from "../../columns/mod.ts";
import type { AgreedColumn, Collection } from "../../model/mod.ts";
import type { CollectionSchema } from "../../proto/gen/schema_pb.ts";
import { agreedRows, readSchema } from "../../transforms/mod.ts";
import { madeByFunctions } from "../agreed.ts";

export interface View {
  /** With which the source's files are read. */
  readonly schema: CollectionSchema;
  /** Why a null of the source is a default on the target, where nobody asked for that; undefined: it is as was asked. */
  readonly defaulted: string | undefined;
  digests(fieldsData: readonly Uint8Array[], rows: number): BigUint64Array;
}

export interface ViewOptions {
  /** Nulls were to be filled (`transforms.unsupported: fill`): one that is a default on the target is no difference. */
  readonly fills: boolean;
}

/** Without what functions make: each side has its own of that. */
export function viewOf(collection: Collection, agreed: readonly AgreedColumn[], { fills }: ViewOptions): View {
  const ignore = madeByFunctions(collection, agreed);
  const own = fills ? [] : agreed.filter(({ change }) => change === "defaulted");
  const [first] = own;
  const fields = own.map(({ field, value }) => `${field} (${value})`).join(", ");
  return {
    schema: readSchema(collection.schema, agreed),
    defaulted: first && `its null has become the default of ${fields}: ${first.why}`,
    digests: (fieldsData, rows) => {
      const digests = rowDigests(agreedRows(agreed, fieldsData, rows).fieldsData, rows, { ignore });
      for (const row of rowsWithNull(own, fieldsData, rows)) digests[row] = digests[row]! ^ MARK;
      return digests;
    },
  };
}

/** In the digest of a row that is on the target but for a null that became a default there. */
const MARK = 0x9e3779b97f4a7c15n;

/** Whether a row on the target is that. */
export function isDefaulted(expected: bigint, found: bigint): boolean {
  return (expected ^ MARK) === found;
}

function rowsWithNull(
  columns: readonly AgreedColumn[],
  fieldsData: readonly Uint8Array[],
  rows: number,
): ReadonlySet<number> {
  const found = new Set<number>();
  if (columns.length === 0) return found;
  for (const bytes of fieldsData) {
    const { fieldId, name } = describeFieldData(bytes);
    if (!columns.some((one) => fieldId === 0n ? one.field === name : one.fieldId === fieldId)) continue;
    if (countValues(bytes, rows) === rows) continue;
    decodeFieldData(bytes, rows).valid?.forEach((flag, row) => void (flag === 0 && found.add(row)));
  }
  return found;
}

/** Views of one collection, one a sink, and which of them are the same. */
export class Views {
  readonly #views: readonly View[];
  /** Sink -> its place among the views. */
  readonly #places: readonly number[];

  constructor(collection: Collection, bySink: readonly (readonly AgreedColumn[])[], options: ViewOptions) {
    const views: View[] = [];
    const known: string[] = [];
    this.#places = bySink.map((agreed) => {
      const text = agreed.map(({ fieldId, change, column }) => `${fieldId} ${change} ${column}`).sort().join();
      const at = known.indexOf(text);
      if (at >= 0) return at;
      known.push(text);
      return views.push(viewOf(collection, agreed, options)) - 1;
    });
    this.#views = views;
  }

  of(sink: number): View {
    return this.#views[this.#places[sink]!]!;
  }

  /** Of each row: one digest, or one for each view where they differ. */
  digests(fieldsData: readonly Uint8Array[], rows: number): (row: number) => RowDigest {
    const all = this.#views.map((view) => view.digests(fieldsData, rows));
    if (all.length === 1) return (row) => all[0]![row]!;
    return (row) => all.map((digests) => digests[row]!);
  }

  digestOf(digest: RowDigest, sink: number): bigint {
    return typeof digest === "bigint" ? digest : digest[this.#places[sink]!]!;
  }
}

export type RowDigest = bigint | readonly bigint[];
