/** Manifests of storage V3, made by hand. */

/** Avro's binary form, as far as the hand-made manifests need it. */
class Writer {
  readonly bytes: number[] = [];
  long(value: bigint): this {
    let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n));
    for (; rest > 127n; rest >>= 7n) this.bytes.push(Number(rest & 127n) | 128);
    this.bytes.push(Number(rest));
    return this;
  }
  string(text: string): this {
    const bytes = new TextEncoder().encode(text);
    this.long(BigInt(bytes.length)).bytes.push(...bytes);
    return this;
  }
  array<T>(items: readonly T[], write: (item: T) => void): this {
    if (items.length > 0) this.long(BigInt(items.length));
    items.forEach(write);
    return this.long(0n);
  }
  boolean(value: boolean): this {
    this.bytes.push(value ? 1 : 0);
    return this;
  }
  get file(): Uint8Array {
    return Uint8Array.from(this.bytes);
  }
}

/** A column group. */
export interface Made {
  readonly columns: readonly string[];
  readonly files: readonly { readonly path: string; readonly start?: bigint; readonly end?: bigint }[];
  readonly format?: string;
}

/** The form of 2.6: no mark in front, no deletes. */
export function oldest(groups: readonly Made[]): Uint8Array {
  const out = new Writer();
  out.array(groups, ({ columns, files, format }) => {
    out.array(columns, (column) => out.string(column));
    out.array(files, ({ path, start, end }) => {
      out.string(path).boolean(start !== undefined);
      if (start !== undefined) out.long(start);
      out.boolean(end !== undefined);
      if (end !== undefined) out.long(end);
    });
    out.string(format ?? "parquet");
  });
  return out.array([], () => {}).file;
}
