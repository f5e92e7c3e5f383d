/** The columns of several messages as one: packed values are put one after the other, nothing is decoded. */
import { DataType } from "../proto/gen/schema_pb.ts";
import { encodeColumn } from "./encode.ts";
import { columnOfFrame, expansion, slotsOf } from "./decode.ts";
import { type FieldFrame, formatFrame, parseFrame } from "./frame.ts";
import { layoutOfType } from "./layout.ts";

export interface RowsPart {
  readonly fieldsData: readonly Uint8Array[];
  readonly rows: number;
}

/**
 * The rows of all parts, in order. Columns go together by field id, or by name where an id is missing. A dynamic column
 * that a part lacks gets `{}` there. Undefined if the parts do not have the same columns (the schema changed in between):
 * send them separately. Throws `damaged`.
 */
export function mergeFieldsData(parts: readonly RowsPart[]): Uint8Array[] | undefined {
  if (parts.length === 1) return [...parts[0]!.fieldsData];
  const frames = parts.map((part) => part.fieldsData.map(parseFrame));
  const columns: FieldFrame[] = [];
  for (const list of frames) {
    for (const frame of list) if (findColumn(columns, frame) === undefined) columns.push(frame);
  }
  const merged: Uint8Array[] = [];
  for (const column of columns) {
    const pieces: FieldFrame[] = [];
    for (let part = 0; part < parts.length; part++) {
      const found = findColumn(frames[part]!, column);
      if (found === undefined && !column.isDynamic) return undefined;
      pieces.push(found ?? emptyObjects(column, parts[part]!.rows));
    }
    const whole = mergeColumn(pieces, parts);
    if (whole === undefined) return undefined;
    merged.push(formatFrame(whole));
  }
  return merged;
}

function findColumn(frames: readonly FieldFrame[], like: FieldFrame): FieldFrame | undefined {
  return frames.find((frame) =>
    frame.fieldId !== 0n && like.fieldId !== 0n ? frame.fieldId === like.fieldId : frame.name === like.name
  );
}

function mergeColumn(pieces: readonly FieldFrame[], parts: readonly RowsPart[]): FieldFrame | undefined {
  const first = pieces.find((piece) => piece.layout !== undefined) ?? pieces[0]!;
  const { layout } = first;
  for (const piece of pieces) {
    const sameForm = piece.layout === undefined || piece.layout === layout;
    const sameDim = piece.dim === first.dim || piece.dim === 0 || first.dim === 0 ||
      first.type === DataType.SparseFloatVector;
    const sameElement = piece.elementType === first.elementType || piece.elementType === 0 || first.elementType === 0;
    if (!sameForm || !sameDim || !sameElement || piece.type !== first.type || piece.isDynamic !== first.isDynamic) {
      return undefined;
    }
  }
  const nullable = pieces.some((piece) => piece.valid !== undefined);
  const unified = nullable ? unifyNulls(pieces, parts) : pieces;
  return {
    ...first,
    name: pieces[pieces.length - 1]!.name,
    fieldId: pieces.find((piece) => piece.fieldId !== 0n)?.fieldId ?? 0n,
    dim: pieces.reduce((max, piece) => piece.dim > max ? piece.dim : max, 0),
    elementType: pieces.find((piece) => piece.elementType !== 0)?.elementType ?? 0,
    valid: nullable ? joinValid(unified, parts) : undefined,
    payload: unified.flatMap((piece) => piece.payload),
  };
}

/** Full and compact pieces cannot stand in one column: where they differ, all are brought to the form that encodeColumn writes. */
function unifyNulls(pieces: readonly FieldFrame[], parts: readonly RowsPart[]): readonly FieldFrame[] {
  const forms = new Set<boolean>();
  pieces.forEach((piece, i) => {
    const { rows } = parts[i]!;
    if (piece.layout === undefined) {
      if (rows > 0) forms.add(true);
      return;
    }
    const slots = slotsOf(piece, piece.layout, rows);
    // All rows valid: both forms are the same.
    if (slots !== rows || piece.valid?.includes(0) === true) forms.add(expansion(piece, slots, rows));
  });
  if (forms.size < 2) return pieces;
  return pieces.map((piece, i) => parseFrame(encodeColumn(columnOfFrame(piece, parts[i]!.rows))));
}

function joinValid(pieces: readonly FieldFrame[], parts: readonly RowsPart[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.rows, 0));
  let at = 0;
  pieces.forEach((piece, i) => {
    const { rows } = parts[i]!;
    if (piece.valid === undefined) out.fill(1, at, at + rows);
    else out.set(piece.valid, at);
    at += rows;
  });
  return out;
}

/** `{}` for every row, as a server fills in a dynamic column that a client left out. */
function emptyObjects(like: FieldFrame, rows: number): FieldFrame {
  const payload = new Uint8Array(rows * 4);
  for (let row = 0; row < rows; row++) payload.set([0x0a, 0x02, 0x7b, 0x7d], row * 4);
  return {
    ...like,
    layout: layoutOfType(DataType.JSON, like.name),
    valid: undefined,
    payload: rows === 0 ? [] : [payload],
  };
}
