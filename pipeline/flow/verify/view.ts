/** How the source's rows must look on one target, for the comparison: as was agreed about columns that it does not take. */
import { rowDigests } from "../../columns/mod.ts";
import type { AgreedColumn, Collection } from "../../model/mod.ts";
import type { CollectionSchema } from "../../proto/gen/schema_pb.ts";
import { agreedRows, readSchema } from "../../transforms/mod.ts";
import { madeByFunctions } from "../agreed.ts";

export interface View {
  /** With which the source's files are read. */
  readonly schema: CollectionSchema;
  digests(fieldsData: readonly Uint8Array[], rows: number): BigUint64Array;
}

/** Without what functions make: each side has its own of that. */
export function viewOf(collection: Collection, agreed: readonly AgreedColumn[]): View {
  const ignore = madeByFunctions(collection, agreed);
  return {
    schema: readSchema(collection.schema, agreed),
    digests: (fieldsData, rows) => rowDigests(agreedRows(agreed, fieldsData, rows).fieldsData, rows, { ignore }),
  };
}

/** Views of one collection, one a sink, and which of them are the same. */
export class Views {
  readonly #views: readonly View[];
  /** Sink -> its place among the views. */
  readonly #places: readonly number[];

  constructor(collection: Collection, bySink: readonly (readonly AgreedColumn[])[]) {
    const views: View[] = [];
    const known: string[] = [];
    this.#places = bySink.map((agreed) => {
      const text = agreed.map(({ fieldId, change, column }) => `${fieldId} ${change} ${column}`).sort().join();
      const at = known.indexOf(text);
      if (at >= 0) return at;
      known.push(text);
      return views.push(viewOf(collection, agreed)) - 1;
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
