/** `<name>/tidemark.json`: what milvus-backup's metadata has no place for. One line per object, so that it can be read and grepped. */
import { formatJson } from "../../pipeline/json.ts";
import { TidemarkError } from "../../pipeline/errors.ts";
import type { Cut, FileFinding, HybridTs, KnownDeletes, Position, Queue } from "../../pipeline/model/mod.ts";
import { isQueue, restorePosition, storePosition } from "../../pipeline/positions/mod.ts";
import { type JsonObject, readJsonObject } from "./json_reader.ts";

/** Raised when a reader of the former number would misread. */
export const MANIFEST_FORMAT = 1;

export interface ManifestObject {
  /** Below the backup's folder, for example `binlogs/insert_log/…`. */
  readonly path: string;
  readonly size: bigint;
  /** `sha256:<hex>` or `md5:<hex>`. */
  readonly sum: string;
}

/** What milvus-backup's metadata has no place for of one segment. */
export interface KeptSegment {
  readonly id: bigint;
  readonly collectionId: bigint;
  readonly partitionId: bigint;
  readonly vchannel: string;
  readonly rows: bigint;
  /** As in the source's metadata; empty for a segment whose files are below `binlogs/`. */
  readonly manifestPath: string;
  /** It was kept by a manifest (storage V3) and is written as storage V2: its files are no copies. Absent: false. */
  readonly rewritten: boolean;
  readonly commitTimestamp: HybridTs;
  /** Column group -> its fields (storage V2). */
  readonly childFields: ReadonlyMap<bigint, readonly bigint[]>;
  /** Of a segment kept by a manifest: all its files, below `manifests/`. */
  readonly files: readonly { readonly path: string; readonly size: bigint }[];
}

export interface BackupManifest {
  readonly name: string;
  readonly pipeline: string;
  /** Version of Tidemark that wrote it. */
  readonly writtenBy: string;
  /** 1: msgstream (Milvus 2.2 to 2.5), 2: streaming WAL. */
  readonly generation: 1 | 2;
  /** Whose places the cuts are. */
  readonly queue: Queue;
  readonly source: {
    readonly clusterId: string;
    readonly serverVersion: string;
    readonly revision: bigint;
    readonly takenAtMs: number;
  };
  readonly startedMs: number;
  readonly finishedMs: number;
  /** The base before this one in the same run, whose unchanged files it shares or could share. */
  readonly previous: string;
  readonly logArchive: boolean;
  /** The first moment that base and archive give exactly over all channels. */
  readonly exactFrom: HybridTs;
  readonly cuts: readonly Cut[];
  readonly collections: readonly {
    readonly id: bigint;
    readonly name: string;
    /** Serialised schema.CollectionSchema, complete. */
    readonly schema: Uint8Array;
    readonly startOffsets: ReadonlyMap<string, Position>;
  }[];
  /** Collections that should be in the backup and are not. */
  readonly failed: readonly { readonly id: bigint; readonly name: string; readonly reason: string }[];
  readonly findings: readonly FileFinding[];
  /** Delta logs of our own: deletes that the source's metadata forgot. */
  readonly ownDeltas: readonly string[];
  /** Absent in backups of older versions, which state nothing of the kind. */
  readonly knownDeletes: readonly KnownDeletes[];
  /** Segments of storage V2 and V3, and those with a commit timestamp. Absent in backups of older versions. */
  readonly segments: readonly KeptSegment[];
  readonly sharedBytes: bigint;
  readonly objects: readonly ManifestObject[];
}

export function encodeManifest(manifest: BackupManifest): string {
  const { objects, collections, cuts, generation, queue, findings, segments, ...head } = manifest;
  const lines = (items: readonly unknown[]) => items.map((item) => formatJson(item)).join(",\n");
  const top = formatJson({ tidemark: MANIFEST_FORMAT, generation, queue, ...head }, 1).slice(0, -2);
  const schemas = collections.map(({ schema, startOffsets, ...rest }) => ({
    ...rest,
    startOffsets: Object.fromEntries([...startOffsets].map(([name, place]) => [name, storePosition(place, queue)])),
    schema: schema.toBase64(),
  }));
  return `${top},\n "cuts": [\n${
    lines(cuts.map((cut) => ({ ...cut, offset: storePosition(cut.offset, queue) })))
  }\n ],\n "collections": [\n${lines(schemas)}\n ],\n "findings": [\n${lines(findings)}\n ],\n "segments": [\n${
    lines(segments.map(keptJson))
  }\n ],\n "objects": [\n${lines(objects.map(({ path, size, sum }) => ({ path, size, sum })))}\n ]\n}\n`;
}

function keptJson({ childFields, ...rest }: KeptSegment): unknown {
  return { ...rest, childFields: [...childFields].map(([group, fields]) => ({ group, fields })) };
}

const OBJECTS = '\n "objects": [\n';

/**
 * The list of objects is decoded when it is first asked for: it is nearly all of the text, and few need it.
 * Throws `damaged` for text that is no manifest, `unsupported` for a newer format.
 */
export function decodeManifest(text: string, what: string): BackupManifest {
  const at = text.indexOf(OBJECTS);
  const head = at < 0 ? text : `${text.slice(0, at)}\n "objects": []\n}`;
  const json = readJsonObject(head, what);
  const format = json.small("tidemark");
  if (format !== MANIFEST_FORMAT) {
    throw new TidemarkError("unsupported", `${what} has format ${format}, expected ${MANIFEST_FORMAT}`, {
      hint: "Use the version of Tidemark that made the backup, or a newer one.",
    });
  }
  const source = required(json, "source", what);
  let objects: readonly ManifestObject[] | undefined;
  const queue = json.text("queue") || "kafka";
  if (!isQueue(queue)) {
    throw new TidemarkError("unsupported", `${what} is of the queue ${queue}, which this version does not know`, {
      hint: "Use the version of Tidemark that made the backup, or a newer one.",
    });
  }
  return {
    get objects() {
      return objects ??= at < 0 ? decodeObjects(json) : decodeLines(text.slice(at + OBJECTS.length), what);
    },
    name: json.text("name"),
    pipeline: json.text("pipeline"),
    writtenBy: json.text("writtenBy"),
    generation: json.small("generation") === 2 ? 2 : 1,
    queue,
    source: {
      clusterId: source.text("clusterId"),
      serverVersion: source.text("serverVersion"),
      revision: source.int("revision"),
      takenAtMs: millis(source, "takenAtMs"),
    },
    startedMs: millis(json, "startedMs"),
    finishedMs: millis(json, "finishedMs"),
    previous: json.text("previous"),
    logArchive: json.flag("logArchive"),
    exactFrom: json.int("exactFrom"),
    cuts: json.list("cuts").map((cut) => ({
      vchannel: cut.text("vchannel"),
      pchannel: cut.text("pchannel"),
      collectionId: cut.int("collectionId"),
      offset: restorePosition(cut.value("offset"), queue, what),
      ts: cut.int("ts"),
    })),
    collections: json.list("collections").map((collection) => ({
      id: collection.int("id"),
      name: collection.text("name"),
      schema: collection.bytes("schema"),
      startOffsets: offsets(collection.object("startOffsets"), collection, queue, what),
    })),
    failed: json.list("failed").map((item) => ({
      id: item.int("id"),
      name: item.text("name"),
      reason: item.text("reason"),
    })),
    findings: json.list("findings").map((finding) => ({
      kind: finding.text("kind") as FileFinding["kind"],
      path: finding.text("path"),
      collectionId: finding.int("collectionId"),
      segmentId: finding.int("segmentId"),
      detail: finding.text("detail"),
      bytes: finding.int("bytes"),
    })),
    ownDeltas: json.texts("ownDeltas"),
    knownDeletes: json.list("knownDeletes").map((item) => ({
      vchannel: item.text("vchannel"),
      topicId: item.text("topicId"),
    })),
    segments: json.list("segments").map((segment) => ({
      id: segment.int("id"),
      collectionId: segment.int("collectionId"),
      partitionId: segment.int("partitionId"),
      vchannel: segment.text("vchannel"),
      rows: segment.int("rows"),
      manifestPath: segment.text("manifestPath"),
      rewritten: segment.flag("rewritten"),
      commitTimestamp: segment.int("commitTimestamp"),
      childFields: new Map(
        segment.list("childFields").map((item) => [item.int("group"), item.ints("fields")]),
      ),
      files: segment.list("files").map((file) => ({ path: file.text("path"), size: file.int("size") })),
    })),
    sharedBytes: json.int("sharedBytes"),
  };
}

function decodeObjects(json: JsonObject): ManifestObject[] {
  return json.list("objects").map((object) => ({
    path: object.text("path"),
    size: object.int("size"),
    sum: object.text("sum"),
  }));
}

/** One object a line, as {@link encodeManifest} writes them; sizes of objects fit a double. */
function decodeLines(lines: string, what: string): ManifestObject[] {
  const objects: ManifestObject[] = [];
  let from = 0;
  while (lines.startsWith("{", from)) {
    const end = lines.indexOf("\n", from);
    if (end < 0) break;
    const line = lines.slice(from, end).replace(/,$/, "");
    try {
      const { path, size, sum } = JSON.parse(line) as { path: string; size: number; sum: string };
      objects.push({ path, size: BigInt(size), sum });
    } catch (cause) {
      throw new TidemarkError("damaged", `${what} has a broken line in its list of objects: ${line.slice(0, 200)}`, {
        cause,
      });
    }
    from = end + 1;
  }
  // An empty list leaves an empty line.
  if (!lines.startsWith(" ]", lines.startsWith("\n", from) ? from + 1 : from)) {
    throw new TidemarkError("damaged", `${what} is cut off in its list of objects`);
  }
  return objects;
}

function offsets(
  object: JsonObject | undefined,
  collection: JsonObject,
  queue: Queue,
  what: string,
): Map<string, Position> {
  if (object === undefined) return new Map();
  const place = (name: string) => restorePosition(object.value(name), queue, what);
  return new Map(collection.keysOf("startOffsets").map((name) => [name, place(name)]));
}

function required(json: JsonObject, key: string, what: string): JsonObject {
  const value = json.object(key);
  if (value === undefined) throw new TidemarkError("damaged", `${what}: ${key} is missing`);
  return value;
}

/** Unix milliseconds fit a double. */
function millis(json: JsonObject, key: string): number {
  return Number(json.int(key));
}
