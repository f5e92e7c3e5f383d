/** A recording of a real cluster: every change of its etcd, every record of its log, its objects and the true rows at some moments. */
import { type Json, parseJson } from "../../../pipeline/json.ts";
import { readTarZst } from "./tar.ts";

/** One write of etcd; without a value the key was deleted. */
export interface EtcdChange {
  readonly key: string;
  readonly value: Uint8Array | undefined;
}

/** What one transaction wrote. */
export interface EtcdRevision {
  readonly revision: bigint;
  readonly changes: readonly EtcdChange[];
}

export interface RecordedRecord {
  readonly topic: string;
  readonly offset: number;
  /** Unix ms by the producer's clock. */
  readonly ms: number;
  readonly headers: readonly (readonly [name: string, value: Uint8Array])[];
  readonly value: Uint8Array | null;
}

/** Rows of a collection at a moment, as clients had written them: partition (`*`: chosen by hash) -> key -> row. */
export interface TrueRows {
  readonly db: string;
  readonly collection: string;
  readonly primaryKey: string;
  readonly partitions: Readonly<Record<string, Readonly<Record<string, Record<string, Json>>>>>;
}

export interface Moment {
  readonly label: string;
  /** Unix ms by the recorder's clock, behind everything that clients had done. */
  readonly ms: number;
  /** The last revision of etcd before it. */
  readonly revision: bigint;
  /** Topic -> offset of its next record. */
  readonly offsets: ReadonlyMap<string, number>;
  /** Keys of the bucket. */
  readonly objects: ReadonlySet<string>;
  readonly rows: readonly TrueRows[];
}

export interface Recording {
  readonly name: string;
  readonly revisions: readonly EtcdRevision[];
  /** By topic, then offset. */
  readonly records: readonly RecordedRecord[];
  /** Key in the bucket -> content. */
  readonly objects: ReadonlyMap<string, Uint8Array>;
  /** In the order of time. */
  readonly moments: readonly Moment[];
}

const FOLDER = new URL("../../samples/recordings/", import.meta.url);

/** Reads `tests/samples/recordings/<name>.tar.zst`. */
export function readRecording(name: string): Recording {
  const files = new Map(
    [...readTarZst(Deno.readFileSync(new URL(`${name}.tar.zst`, FOLDER)))]
      .map(([path, content]) => [path.slice(path.indexOf("/") + 1), content]),
  );
  const revisions = revisionsOf(linesOf(files, "etcd-history.jsonl"));
  // A cluster on Woodpecker has no queue beside its bucket.
  const records = (files.has("kafka.jsonl") ? linesOf(files, "kafka.jsonl") : []).map(recordOf).sort((a, b) =>
    a.topic === b.topic ? a.offset - b.offset : a.topic < b.topic ? -1 : 1
  );
  const objects = new Map(
    [...files].filter(([path]) => path.startsWith("bucket/"))
      .map(([path, content]) => [path.split("/").slice(2).join("/"), content] as const),
  );
  // A moment that does not say where it lies is behind everything.
  const end = {
    revision: revisions.at(-1)!.revision,
    offsets: new Map(records.map(({ topic, offset }) => [topic, offset + 1])),
    objects: new Set(objects.keys()),
  };
  const moments = [...files.keys()].filter((path) => /^mark-.*\.json$/.test(path))
    .map((path) => momentOf(parseJson(utf8(files.get(path)!)), end))
    .sort((a, b) => a.ms - b.ms);
  return { name, revisions, records, objects, moments };
}

function revisionsOf(lines: readonly Record<string, Json>[]): EtcdRevision[] {
  const found = new Map<bigint, EtcdChange[]>();
  for (const line of lines) {
    const revision = BigInt(line.rev as number);
    const key = utf8(base64(line.key as string));
    const value = line.op === "put" ? base64(line.value as string) : undefined;
    const changes = found.get(revision);
    if (changes === undefined) found.set(revision, [{ key, value }]);
    else changes.push({ key, value });
  }
  return [...found].sort(([a], [b]) => a < b ? -1 : 1).map(([revision, changes]) => ({ revision, changes }));
}

function recordOf(line: Record<string, Json>): RecordedRecord {
  return {
    topic: line.topic as string,
    offset: line.offset as number,
    ms: line.timestamp as number,
    headers: (line.headers as [string, string][]).map(([name, value]) => [name, base64(value)]),
    value: line.value === null ? null : base64(line.value as string),
  };
}

function momentOf(json: Json, end: Pick<Moment, "revision" | "offsets" | "objects">): Moment {
  const mark = json as unknown as {
    label: string;
    time: number;
    etcd_revision?: number;
    kafka_offsets?: Record<string, [number, number]>;
    bucket?: string[];
    rows: (Pick<TrueRows, "db" | "collection" | "partitions"> & { pk: string })[];
  };
  const { kafka_offsets: offsets, bucket } = mark;
  return {
    label: mark.label,
    ms: mark.time * 1000,
    revision: offsets === undefined || mark.etcd_revision === undefined ? end.revision : BigInt(mark.etcd_revision),
    offsets: offsets === undefined
      ? end.offsets
      : new Map(Object.entries(offsets).map(([topic, [, next]]) => [topic.replace(/\/0$/, ""), next])),
    objects: bucket === undefined ? end.objects : new Set(bucket.map((key) => key.split("/").slice(1).join("/"))),
    rows: mark.rows.map(({ db, collection, partitions, pk }) => ({ db, collection, partitions, primaryKey: pk })),
  };
}

function linesOf(files: ReadonlyMap<string, Uint8Array>, path: string): Record<string, Json>[] {
  const content = files.get(path);
  if (content === undefined) throw new Error(`The recording has no ${path}`);
  return utf8(content).trim().split("\n").map((line) => JSON.parse(line));
}

function utf8(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

function base64(text: string): Uint8Array {
  return Uint8Array.fromBase64(text);
}
