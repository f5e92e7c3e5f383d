/** Values of a Parquet column as typed arrays: made from plain bytes, picked from a dictionary, spread over nulls. */

export type ParquetType =
  | "BOOLEAN"
  | "INT32"
  | "INT64"
  | "INT96"
  | "FLOAT"
  | "DOUBLE"
  | "BYTE_ARRAY"
  | "FIXED_LEN_BYTE_ARRAY";

/** Byte arrays are views into a page's buffer; `fixed` is one contiguous block of `width` bytes a value. */
export type PageValues =
  | { readonly kind: "bool"; readonly values: Uint8Array }
  | { readonly kind: "int32"; readonly values: Int32Array }
  | { readonly kind: "int64"; readonly values: BigInt64Array }
  | { readonly kind: "float"; readonly values: Float32Array }
  | { readonly kind: "double"; readonly values: Float64Array }
  | { readonly kind: "bytes"; readonly values: Uint8Array[] }
  | { readonly kind: "fixed"; readonly width: number; readonly bytes: Uint8Array };

/** A run of rows of one column. `valid[i] = 0`: row i is null and its slot means nothing; undefined: no nulls. */
export interface ParquetPage {
  readonly rows: number;
  readonly valid: Uint8Array | undefined;
  readonly values: PageValues;
}

const EMPTY = new Uint8Array();

/** Room for `rows` values: zeros, or empty byte arrays. */
export function typedValues(type: ParquetType, width: number, rows: number): PageValues {
  switch (type) {
    case "BOOLEAN":
      return { kind: "bool", values: new Uint8Array(rows) };
    case "INT32":
      return { kind: "int32", values: new Int32Array(rows) };
    case "INT64":
      return { kind: "int64", values: new BigInt64Array(rows) };
    case "FLOAT":
      return { kind: "float", values: new Float32Array(rows) };
    case "DOUBLE":
      return { kind: "double", values: new Float64Array(rows) };
    case "BYTE_ARRAY":
      return { kind: "bytes", values: new Array<Uint8Array>(rows).fill(EMPTY) };
    case "FIXED_LEN_BYTE_ARRAY":
      return { kind: "fixed", width, bytes: new Uint8Array(rows * width) };
    default:
      throw new Error(`Parquet type ${type} is not supported`);
  }
}

/** Room for `rows` values of the same kind. */
export function emptyLike(values: PageValues, rows: number): PageValues {
  switch (values.kind) {
    case "bool":
      return { kind: "bool", values: new Uint8Array(rows) };
    case "int32":
      return { kind: "int32", values: new Int32Array(rows) };
    case "int64":
      return { kind: "int64", values: new BigInt64Array(rows) };
    case "float":
      return { kind: "float", values: new Float32Array(rows) };
    case "double":
      return { kind: "double", values: new Float64Array(rows) };
    case "bytes":
      return { kind: "bytes", values: new Array<Uint8Array>(rows).fill(EMPTY) };
    case "fixed":
      return { kind: "fixed", width: values.width, bytes: new Uint8Array(rows * values.width) };
  }
}

/** PLAIN encoding; views into `page` where alignment allows. Throws where the page is too short. */
export function plainValues(page: Uint8Array, type: ParquetType, width: number, count: number): PageValues {
  switch (type) {
    case "BOOLEAN": {
      need(page, Math.ceil(count / 8));
      const values = new Uint8Array(count);
      for (let i = 0; i < count; i++) values[i] = (page[i >> 3]! >> (i & 7)) & 1;
      return { kind: "bool", values };
    }
    case "INT32": {
      const bytes = aligned(page, count * 4, 4);
      return { kind: "int32", values: new Int32Array(bytes.buffer, bytes.byteOffset, count) };
    }
    case "INT64": {
      const bytes = aligned(page, count * 8, 8);
      return { kind: "int64", values: new BigInt64Array(bytes.buffer, bytes.byteOffset, count) };
    }
    case "FLOAT": {
      const bytes = aligned(page, count * 4, 4);
      return { kind: "float", values: new Float32Array(bytes.buffer, bytes.byteOffset, count) };
    }
    case "DOUBLE": {
      const bytes = aligned(page, count * 8, 8);
      return { kind: "double", values: new Float64Array(bytes.buffer, bytes.byteOffset, count) };
    }
    case "FIXED_LEN_BYTE_ARRAY":
      need(page, count * width);
      return { kind: "fixed", width, bytes: page.subarray(0, count * width) };
    case "BYTE_ARRAY": {
      need(page, count * 4);
      const view = new DataView(page.buffer, page.byteOffset, page.byteLength);
      const values = new Array<Uint8Array>(count);
      let at = 0;
      for (let i = 0; i < count; i++) {
        const start = at + 4;
        const end = start + view.getUint32(at, true);
        if (end > page.length) throw new RangeError("a value ends behind its page");
        values[i] = page.subarray(start, end);
        at = end;
      }
      return { kind: "bytes", values };
    }
    default:
      throw new Error(`Parquet type ${type} is not supported`);
  }
}

/** Byte arrays of one width as a contiguous block. */
export function bytesPlain(values: readonly Uint8Array[], width: number): PageValues {
  const bytes = new Uint8Array(values.length * width);
  values.forEach((value, i) => {
    if (value.length !== width) throw new RangeError(`a value of ${value.length} bytes where ${width} were expected`);
    bytes.set(value, i * width);
  });
  return { kind: "fixed", width, bytes };
}

/** The dictionary's values at `indices`. */
export function gather(dictionary: PageValues, indices: Uint32Array): PageValues {
  const count = indices.length;
  const size = dictionary.kind === "fixed"
    ? (dictionary.width === 0 ? 0 : dictionary.bytes.length / dictionary.width)
    : dictionary.values.length;
  for (let i = 0; i < count; i++) {
    if (indices[i]! >= size) throw new RangeError(`index ${indices[i]} into a dictionary of ${size}`);
  }
  switch (dictionary.kind) {
    case "bytes": {
      const values = new Array<Uint8Array>(count);
      for (let i = 0; i < count; i++) values[i] = dictionary.values[indices[i]!]!;
      return { kind: "bytes", values };
    }
    case "fixed": {
      const { width } = dictionary;
      const bytes = new Uint8Array(count * width);
      for (let i = 0; i < count; i++) {
        const from = indices[i]! * width;
        bytes.set(dictionary.bytes.subarray(from, from + width), i * width);
      }
      return { kind: "fixed", width, bytes };
    }
    case "int64": {
      const values = new BigInt64Array(count);
      for (let i = 0; i < count; i++) values[i] = dictionary.values[indices[i]!]!;
      return { kind: "int64", values };
    }
    case "int32":
      return { kind: "int32", values: Int32Array.from(indices, (index) => dictionary.values[index]!) };
    case "float":
      return { kind: "float", values: Float32Array.from(indices, (index) => dictionary.values[index]!) };
    case "double":
      return { kind: "double", values: Float64Array.from(indices, (index) => dictionary.values[index]!) };
    case "bool":
      return { kind: "bool", values: Uint8Array.from(indices, (index) => dictionary.values[index]!) };
  }
}

/**
 * Puts `dense` into `target` from slot `at` on. With `valid` (one mark per row of `rows`) the dense values go to the
 * marked rows in turn; without it they go to consecutive slots.
 */
export function scatter(
  target: PageValues,
  at: number,
  dense: PageValues,
  valid: Uint8Array | undefined,
  rows: number,
): void {
  if (target.kind !== dense.kind) throw new Error(`${dense.kind} values in a column of ${target.kind}`);
  if (target.kind === "fixed") {
    const from = (dense as typeof target).bytes;
    const { width, bytes } = target;
    if (valid === undefined) {
      bytes.set(from, at * width);
      return;
    }
    for (let row = 0, next = 0; row < rows; row++) {
      if (valid[row] === 0) continue;
      bytes.set(from.subarray(next, next + width), (at + row) * width);
      next += width;
    }
    return;
  }
  const from = (dense as { values: ArrayLike<unknown> }).values;
  const to = target.values as { [index: number]: unknown; set?: (values: never, at: number) => void };
  if (valid === undefined) {
    if (target.kind === "bytes") { for (let i = 0; i < from.length; i++) to[at + i] = from[i]; }
    else to.set!(from as never, at);
    return;
  }
  for (let row = 0, next = 0; row < rows; row++) if (valid[row] !== 0) to[at + row] = from[next++];
}

function need(page: Uint8Array, bytes: number): void {
  if (!(bytes <= page.length)) throw new RangeError(`${bytes} bytes expected in a page of ${page.length}`);
}

/** The first `bytes` of the page at an address that a typed array accepts. */
function aligned(page: Uint8Array, bytes: number, unit: number): Uint8Array {
  need(page, bytes);
  if (page.byteOffset % unit === 0) return page.subarray(0, bytes);
  const copy = new Uint8Array(bytes);
  copy.set(page.subarray(0, bytes));
  return copy;
}
