/**
 * Dead letters as Parquet files of a folder, `00001.parquet` and on: rows that a target does not take, with where they come
 * from and why. `row_json` is for people and other tools, `row` holds the row's columns (each a serialised
 * schema.FieldData, behind its length as four bytes, little-endian) for a replay.
 */
import { TidemarkError } from "../pipeline/errors.ts";
import { columnToJson, decodeFieldData } from "../pipeline/columns/mod.ts";
import { formatJson, type Json } from "../pipeline/json.ts";
import { type DeadLetter, type DeadLetters, isoOfHybrid, type ObjectStore } from "../pipeline/model/mod.ts";
import { type PageValues, readParquet } from "./parquet.ts";
import { createParquetFile, type ParquetColumnSpec } from "./parquet_writer.ts";

const COLUMNS: readonly ParquetColumnSpec[] = [
  { name: "sink", type: "string" },
  { name: "collection", type: "string" },
  { name: "target", type: "string" },
  { name: "collection_id", type: "int64" },
  { name: "partition", type: "string" },
  { name: "partition_id", type: "int64" },
  { name: "key", type: "string" },
  { name: "key_kind", type: "string" },
  { name: "ts", type: "int64" },
  { name: "time", type: "string" },
  { name: "position", type: "string" },
  { name: "reason", type: "string" },
  { name: "row_json", type: "string" },
  { name: "row", type: "bytes" },
];

export interface DeadLettersOptions {
  /** The folder. */
  readonly store: ObjectStore;
  /** For the files' `created_by`. */
  readonly program: string;
  /** A file beyond this is not written anew with more. Default 4 MiB. */
  readonly fileBytes?: number;
}

/** One writer at a time: the run that holds the state. */
export function createDeadLetters({ store, program, fileBytes = 4 << 20 }: DeadLettersOptions): DeadLetters {
  let current: { readonly file: string; readonly letters: DeadLetter[]; bytes: number } | undefined;
  let before: Promise<unknown> = Promise.resolve();

  async function files(): Promise<string[]> {
    const found: string[] = [];
    for await (const { key } of store.list("")) if (/^\d{5,}\.parquet$/.test(key)) found.push(key);
    return found.sort((a, b) => a.length - b.length || (a < b ? -1 : 1));
  }

  async function open(): Promise<NonNullable<typeof current>> {
    const last = (await files()).at(-1);
    if (last !== undefined) {
      const size = Number((await store.head(last))?.size ?? 0n);
      if (size < fileBytes) return { file: last, letters: await read(last), bytes: size };
    }
    const next = last === undefined ? 1 : parseInt(last, 10) + 1;
    return { file: `${String(next).padStart(5, "0")}.parquet`, letters: [], bytes: 0 };
  }

  async function append(letters: readonly DeadLetter[]): Promise<string> {
    if (current === undefined || current.bytes >= fileBytes) current = await open();
    const { file } = current;
    const all = [...current.letters, ...letters];
    const bytes = encode(all, program);
    await store.put(file, bytes);
    current = { file, letters: all, bytes: bytes.length };
    return file;
  }

  async function read(file: string): Promise<DeadLetter[]> {
    return await decode(await store.get(file), `${store.location}/${file}`);
  }

  return {
    location: store.location.replace(/^file:\/\//, ""),
    append: (letters) => {
      const done = before.then(() => append(letters));
      before = done.catch(() => current = undefined);
      return done;
    },
    files,
    read,
  };
}

function encode(letters: readonly DeadLetter[], program: string): Uint8Array {
  const file = createParquetFile(COLUMNS, { createdBy: program });
  file.writeRowGroup([
    letters.map(({ sink }) => sink),
    letters.map(({ collection }) => collection),
    letters.map(({ target }) => target),
    letters.map(({ collectionId }) => collectionId),
    letters.map(({ partition }) => partition),
    letters.map(({ partitionId }) => partitionId),
    letters.map(({ key }) => `${key}`),
    letters.map(({ key }) => typeof key === "bigint" ? "int64" : "varchar"),
    letters.map(({ ts }) => BigInt.asIntN(64, ts)),
    letters.map(({ ts }) => isoOfHybrid(ts)),
    letters.map(({ position }) => position),
    letters.map(({ reason }) => reason),
    letters.map(({ fieldsData }) => formatJson(rowJson(fieldsData))),
    letters.map(({ fieldsData }) => joined(fieldsData)),
  ]);
  return file.finish({ "tidemark.dead_letters": "1" }).slice();
}

function rowJson(fieldsData: readonly Uint8Array[]): { [field: string]: Json } {
  return Object.fromEntries(fieldsData.map((bytes) => {
    const column = decodeFieldData(bytes, 1);
    const name = column.isDynamic ? column.name || "$meta" : column.name;
    try {
      return [name, columnToJson(column)[0]!];
    } catch {
      // What is no value of its type is in `row` all the same.
      return [name, null];
    }
  }));
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, { length }) => sum + 4 + length, 0));
  const view = new DataView(out.buffer);
  let at = 0;
  for (const part of parts) {
    view.setUint32(at, part.length, true);
    out.set(part, at + 4);
    at += 4 + part.length;
  }
  return out;
}

function parted(bytes: Uint8Array, what: string): Uint8Array[] {
  const parts: Uint8Array[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at < bytes.length;) {
    const length = at + 4 <= bytes.length ? view.getUint32(at, true) : Infinity;
    if (at + 4 + length > bytes.length) throw new TidemarkError("damaged", `${what}: a row is cut off`);
    parts.push(bytes.slice(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return parts;
}

function int64Key(text: string, what: string): bigint {
  const key = /^-?\d{1,19}$/.test(text) ? BigInt(text) : undefined;
  if (key === undefined || key !== BigInt.asIntN(64, key)) {
    throw new TidemarkError("damaged", `${what}: the key ${JSON.stringify(text)} is no int64`);
  }
  return key;
}

async function decode(bytes: Uint8Array, what: string): Promise<DeadLetter[]> {
  const { file, columns } = await readParquet(bytes, what);
  if (file.keyValues.get("tidemark.dead_letters") !== "1") {
    throw new TidemarkError("damaged", `${what} is no file of dead letters`);
  }
  const pages = new Map(file.columns.map(({ name }, i) => [name, columns[i]!.values]));
  const missing = COLUMNS.find(({ name, type }) => pages.get(name)?.kind !== (type === "int64" ? "int64" : "bytes"));
  if (missing !== undefined) throw new TidemarkError("damaged", `${what} has no column ${missing.name}`);
  const int = (name: string, row: number) => (pages.get(name) as Extract<PageValues, { kind: "int64" }>).values[row]!;
  const raw = (name: string, row: number) => (pages.get(name) as Extract<PageValues, { kind: "bytes" }>).values[row]!;
  const text = (name: string, row: number) => new TextDecoder().decode(raw(name, row));
  return Array.from({ length: file.rows }, (_, row): DeadLetter => {
    const key = text("key", row);
    return {
      sink: text("sink", row),
      collection: text("collection", row),
      target: text("target", row),
      collectionId: int("collection_id", row),
      partition: text("partition", row),
      partitionId: int("partition_id", row),
      key: text("key_kind", row) === "int64" ? int64Key(key, what) : key,
      ts: BigInt.asUintN(64, int("ts", row)),
      position: text("position", row),
      reason: text("reason", row),
      fieldsData: parted(raw("row", row), what),
    };
  });
}
