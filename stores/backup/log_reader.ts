/** Reading the log archive: which files there are, what their footers say, their records. */
import { TidemarkError } from "../../pipeline/errors.ts";
import type { ArchivedRecord, ObjectStore, Position, Queue } from "../../pipeline/model/mod.ts";
import { restorePosition } from "../../pipeline/positions/mod.ts";
import { type ByteSource, objectSource } from "../byte_source.ts";
import { joinPages, openParquet, type ParquetPage } from "../parquet.ts";
import { type Checksum, checksumOf } from "./checksum.ts";
import { archiveFolder, archiveSequence, logFolder } from "./layout.ts";
import { decodeFacts, decodeRow, logColumns, type LogFileFacts } from "./log_format.ts";
import { decodeText } from "./text.ts";

export interface LogFileEntry {
  readonly key: string;
  readonly sequence: bigint;
  readonly size: bigint;
}

/** pchannels that have an archive. */
export async function listLogChannels(store: ObjectStore, name: string, signal?: AbortSignal): Promise<string[]> {
  return await store.folders(logFolder(name), signal);
}

/** Files of one pchannel, by number. Other objects in the folder are ignored. */
export async function listLogFiles(
  store: ObjectStore,
  name: string,
  pchannel: string,
  signal?: AbortSignal,
): Promise<LogFileEntry[]> {
  const files: LogFileEntry[] = [];
  for await (const { key, size } of store.list(archiveFolder(name, pchannel), signal)) {
    const sequence = archiveSequence(key);
    if (sequence !== undefined) files.push({ key, sequence, size });
  }
  return files.sort((a, b) => a.sequence < b.sequence ? -1 : 1);
}

/** The last file with its facts and the checksum of all its bytes; undefined where there is none. */
export async function lastLogFile(
  store: ObjectStore,
  name: string,
  pchannel: string,
  signal?: AbortSignal,
): Promise<{ readonly facts: LogFileFacts; readonly sum: Checksum } | undefined> {
  const last = (await listLogFiles(store, name, pchannel, signal)).at(-1);
  if (last === undefined) return undefined;
  const bytes = await store.get(last.key, undefined, signal);
  return { facts: await factsOf(bytes, last.key), sum: checksumOf(bytes) };
}

/** What a file's footer says; reads the footer only. Throws `damaged`. */
export async function readLogFacts(
  store: ObjectStore,
  entry: LogFileEntry,
  signal?: AbortSignal,
): Promise<LogFileFacts> {
  return await factsOf(objectSource(store, entry.key, Number(entry.size), { ...(signal && { signal }) }), entry.key);
}

async function factsOf(input: ByteSource | Uint8Array, key: string): Promise<LogFileFacts> {
  return decodeFacts(Object.fromEntries((await openParquet(input, key)).keyValues), key);
}

/** Records of one file from `fromOffset` on, in offset order, a row group at a time. Throws `damaged`. */
export async function* readLogFile(
  store: ObjectStore,
  entry: LogFileEntry,
  fromOffset: Position,
  signal?: AbortSignal,
): AsyncIterable<ArchivedRecord[]> {
  const bytes = await store.get(entry.key, undefined, signal);
  yield* readLogBytes(bytes, entry.key, fromOffset, signal);
}

/** The same of a file in memory. */
export async function* readLogBytes(
  bytes: Uint8Array,
  key: string,
  fromOffset: Position,
  signal?: AbortSignal,
): AsyncIterable<ArchivedRecord[]> {
  const file = await openParquet(bytes, key);
  const { pchannel, queue } = decodeFacts(Object.fromEntries(file.keyValues), key);
  const columns = new Map(file.columns.map((column) => [column.name, column]));
  const wanted = logColumns(queue);
  const missing = wanted.find(({ name }) => !columns.has(name));
  if (missing !== undefined) throw new TidemarkError("damaged", `${key} has no column ${missing.name}`);
  const places = columns.get(wanted[0]!.name)!;
  for (let group = 0; group < file.groups.length; group++) {
    signal?.throwIfAborted();
    const last = places.statistics(group)?.max;
    if (typeof last === "bigint" && last < fromOffset) continue;
    const page = async (name: string): Promise<ParquetPage> => {
      const column = columns.get(name)!;
      return joinPages(column, await Array.fromAsync(column.pages([group])));
    };
    const pages = await Promise.all(wanted.map(({ name }) => page(name)));
    const records = recordsOf(pages, file.groups[group]!.rows, { pchannel, queue, key });
    yield records.filter(({ record }) => record.offset >= fromOffset);
  }
}

function recordsOf(
  pages: readonly ParquetPage[],
  rows: number,
  { pchannel, queue, key }: { readonly pchannel: string; readonly queue: Queue; readonly key: string },
): ArchivedRecord[] {
  const [place, ts, time, vchannel, type, headers, value] = pages.map(({ values, valid }) => {
    if (values.kind !== "int64" && values.kind !== "bytes") {
      throw new TidemarkError("damaged", `${key} has a column of kind ${values.kind}`);
    }
    return { values: values.values, valid };
  }) as [
    ColumnOf<BigInt64Array | Uint8Array[]>,
    ColumnOf<BigInt64Array>,
    ColumnOf<BigInt64Array>,
    ...ColumnOf<Uint8Array[]>[],
  ];
  const texts = new Map<string, string>();
  const text = (bytes: Uint8Array): string => {
    const found = decodeText(bytes, key);
    const known = texts.get(found);
    if (known !== undefined) return known;
    texts.set(found, found);
    return found;
  };
  const present = <T>(column: ColumnOf<T[]> | undefined, row: number): T | null => {
    if (column === undefined || column.valid?.[row] === 0) return null;
    return column.values[row]!;
  };
  const placeOf = (stored: bigint | Uint8Array): Position =>
    typeof stored === "bigint" ? stored : restorePosition(decodeText(stored, key), queue, key);
  return Array.from({ length: rows }, (_, row) => {
    const header = present(headers, row);
    return decodeRow(
      {
        offset: placeOf(place.values[row]!),
        ts: ts.values[row]!,
        time_ms: time.values[row]!,
        vchannel: text(vchannel!.values[row]!),
        type: text(type!.values[row]!),
        headers: header === null ? null : decodeText(header, key),
        value: present(value, row),
      },
      pchannel,
      key,
    );
  });
}

interface ColumnOf<T> {
  readonly values: T;
  readonly valid: Uint8Array | undefined;
}
