/** A source with rows that came by bulk import, which checks no lengths: longer than the schema says, larger than an insert may be. */
import type { Servers } from "../integration/pipeline/servers.ts";
import { eventually } from "../stack/eventually.ts";

export interface FieldRow {
  readonly id: string;
  readonly vec: readonly number[];
  readonly title: string;
  readonly tags: readonly string[];
  readonly doc: unknown;
}

/** Key and text of 8 bytes, arrays of 2 elements. */
const FIELDS = [
  { name: "id", type: "VarChar", primary: true, max_length: 8 },
  { name: "vec", type: "FloatVector", dim: 4 },
  { name: "title", type: "VarChar", max_length: 8 },
  { name: "tags", type: "Array", element_type: "VarChar", max_capacity: 2, max_length: 8 },
  { name: "doc", type: "JSON" },
];

export const INDEX = [{ field: "vec", name: "vec", params: { index_type: "FLAT", metric_type: "L2" } }];

export async function createNarrow({ source }: Servers, name: string): Promise<void> {
  await source.call("create_collection", { name, fields: FIELDS, indexes: INDEX, load: true });
}

export function fitting(i: number): FieldRow {
  return { id: `k${i}`, vec: [i, 1, 2, 3], title: `t${i}`, tags: ["a", "b"], doc: { i } };
}

export const LONG_KEY = "a_key_that_is_longer_than_the_schema_says";

/** One row of each way to be refused. */
export const OVER_LONG: readonly FieldRow[] = [
  { ...fitting(1001), title: "x".repeat(40) },
  { ...fitting(1002), tags: ["a", "b", "c", "d", "e"] },
  { ...fitting(1003), id: LONG_KEY },
];

/** 200 KB of JSON: an insert takes 64. */
export const LARGE: FieldRow = { ...fitting(1004), doc: { text: "j".repeat(200_000) } };

export async function bulkImport({ env, source }: Servers, name: string, rows: readonly FieldRow[]): Promise<void> {
  const store = {
    endpoint: env.S3_ENDPOINT,
    bucket: env.SOURCE_BUCKET,
    access_key: env.S3_ACCESS_KEY,
    secret_key: env.S3_SECRET_KEY,
  };
  await source.call("bulk_insert_rows", { name, rows, store });
}

/** The source answers with an import's rows once it has loaded them. */
export async function sourceShows({ source }: Servers, name: string, rows: number): Promise<void> {
  await eventually(
    `the source answers with ${rows} rows`,
    async () => await source.call("count", { name }) === rows,
  );
}
