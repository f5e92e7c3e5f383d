/**
 * Rows as the files of a segment of storage V2: a set of files after another, one file per column group in each, all of a
 * set with the same rows. Milvus' import pairs the n-th files of the groups.
 *
 * Memory: one batch, the cells of an open row group (1 MiB) per column group, and the bytes of one set.
 */
import type { ColumnBatch, HybridTs } from "../../../pipeline/model/mod.ts";
import { cellsOf } from "./cells.ts";
import { groupFieldIds, type V2Group } from "./column_groups.ts";
import { createGroupFile, type GroupFile } from "./group_file.ts";

export interface FileSet {
  readonly rows: number;
  readonly tsFrom: HybridTs;
  readonly tsTo: HybridTs;
  /** One per column group, in their order. */
  readonly files: readonly Uint8Array[];
}

export interface EncodeOptions {
  /** FileMetaData.created_by. */
  readonly createdBy: string;
  /** Bytes of rows at which a set is closed. Default 32 MiB. */
  readonly setBytes?: number;
}

/** `batches` must have timestamps, row ids and every field of the groups. Throws `unsupported` as {@link cellsOf} does. */
export async function* encodeRows(
  groups: readonly V2Group[],
  batches: AsyncIterable<ColumnBatch>,
  { createdBy, setBytes = 32 << 20 }: EncodeOptions,
): AsyncIterable<FileSet> {
  const fieldIds = groupFieldIds(groups);
  let open:
    | { readonly files: readonly GroupFile[]; rows: number; bytes: number; from: HybridTs; to: HybridTs }
    | undefined;
  const close = ({ files, rows, from, to }: NonNullable<typeof open>): FileSet => ({
    rows,
    tsFrom: from,
    tsTo: to,
    files: files.map((file) => file.finish()),
  });
  for await (const batch of batches) {
    const timestamps = batch.timestamps!;
    open ??= {
      files: groups.map((group) => createGroupFile(group, fieldIds, createdBy)),
      rows: 0,
      bytes: 0,
      from: timestamps[0]!,
      to: timestamps[0]!,
    };
    for (const [i, { columns }] of groups.entries()) {
      open.files[i]!.add(columns.map((column) => cellsOf(column, batch)));
    }
    open.rows += batch.rows;
    open.bytes += bytesOf(batch);
    for (const ts of timestamps) {
      if (ts < open.from) open.from = ts;
      if (ts > open.to) open.to = ts;
    }
    if (open.bytes < setBytes) continue;
    yield close(open);
    open = undefined;
  }
  if (open !== undefined) yield close(open);
}

function bytesOf({ columns, rows }: ColumnBatch): number {
  return columns.reduce((sum, { data }) => {
    switch (data.kind) {
      case "fixed":
        return sum + data.bytes.length;
      case "utf8":
      case "bytes":
        return sum + data.values.reduce((all, value) => all + value.length, 0);
      default:
        return sum + data.values.byteLength;
    }
  }, 8 * rows);
}
