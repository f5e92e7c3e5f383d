/** What a world writes has the shape of what real servers wrote: keys and values of etcd, headers of records, files. */
import assert from "node:assert/strict";
import { type DescMessage, fromBinary, type Message } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { FieldBinlogSchema, SegmentInfoSchema, SegmentLevel } from "../../../pipeline/proto/gen/data_coord_pb.ts";
import {
  AliasInfoSchema,
  CollectionInfoSchema,
  DatabaseInfoSchema,
  PartitionInfoSchema,
} from "../../../pipeline/proto/gen/etcd_meta_pb.ts";
import { MsgPositionSchema } from "../../../pipeline/proto/gen/msg_pb.ts";
import { CollectionLoadInfoSchema, PartitionLoadInfoSchema } from "../../../pipeline/proto/gen/query_coord_pb.ts";
import { BroadcastTaskSchema, CChannelMetaSchema } from "../../../pipeline/proto/gen/streaming_pb.ts";
import { readRecording, type Recording } from "../../stack/recorded/recording.ts";
import type { EtcdChange, RecordedRecord } from "../../stack/recorded/recording.ts";
import { finish } from "./lives.ts";
import { workOf } from "./work.ts";
import { WrittenWorld } from "./written.ts";

type Written = Pick<Recording, "records" | "objects"> & { readonly changes: readonly EtcdChange[] };

async function written(seed: number): Promise<Written> {
  const [changes, records, objects]: [EtcdChange[], RecordedRecord[], Map<string, Uint8Array>] = [[], [], new Map()];
  const cluster = await WrittenWorld.open({
    createTopics: () => Promise.resolve(),
    put: (all) => Promise.resolve(void [...all].forEach(([key, bytes]) => objects.set(key, bytes))),
    produce: (all) => Promise.resolve(void records.push(...all)),
    write: (all) => Promise.resolve(void changes.push(...all)),
  }, seed);
  cluster.world.create("default", "a", ...cluster.world.pchannels);
  cluster.world.create("default", "anchor", ...cluster.world.pchannels);
  for (const step of workOf(seed, 300)) {
    step(cluster);
    cluster.world.tick();
    await cluster.bring();
  }
  finish(cluster.world);
  cluster.upkeep.flush();
  await cluster.bring();
  return { changes, records, objects };
}

function recorded(...names: readonly string[]): Written {
  const all = names.map(readRecording);
  return {
    changes: all.flatMap(({ revisions }) => revisions.flatMap(({ changes }) => changes)),
    records: all.flatMap(({ records }) => records),
    objects: new Map(all.flatMap(({ objects }) => [...objects])),
  };
}

/** Ids and numbers of channels are N; names of aliases, too. */
function shapeOf(key: string): string {
  return key.replace(/\d+/g, "N").replace(/(database\/aliases\/N\/).*/, "$1NAME");
}

const VALUES: readonly (readonly [RegExp, DescMessage])[] = [
  [/db-info/, DatabaseInfoSchema],
  [/collection-info/, CollectionInfoSchema],
  [/root-coord\/partitions/, PartitionInfoSchema],
  [/aliases/, AliasInfoSchema],
  [/datacoord-meta\/s\//, SegmentInfoSchema],
  [/datacoord-meta\/(binlog|deltalog)\//, FieldBinlogSchema],
  [/channel-cp/, MsgPositionSchema],
  [/collection-loadinfo/, CollectionLoadInfoSchema],
  [/partition-loadinfo/, PartitionLoadInfoSchema],
  [/broadcast-task/, BroadcastTaskSchema],
  [/cchannel/, CChannelMetaSchema],
];

/** Names of the fields that are set, those of messages below included: `dmlPosition.msgID`. */
function fieldsOf(schema: DescMessage, message: Message): string[] {
  const own = reflect(schema, message);
  return own.fields.filter((field) => own.isSet(field)).flatMap((field) => {
    if (field.fieldKind === "message") {
      const below = own.get(field).message;
      return [field.localName, ...fieldsOf(field.message, below).map((name) => `${field.localName}.${name}`)];
    }
    if (field.fieldKind !== "list" || field.listKind !== "message") return [field.localName];
    const below = [...own.get(field)].flatMap((item) =>
      fieldsOf(field.message, (item as { message: Message }).message)
    );
    return [field.localName, ...new Set(below.map((name) => `${field.localName}[].${name}`))];
  });
}

/** `key: field` of every value; segments by their level and state. */
function valueShapes({ changes }: Written): Set<string> {
  const found = new Set<string>();
  for (const { key, value } of changes) {
    const schema = VALUES.find(([pattern]) => pattern.test(key))?.[1];
    if (schema === undefined || value === undefined || value.length === 3) continue;
    const message = fromBinary(schema, value);
    const kind = schema === SegmentInfoSchema
      ? segmentKind(message as unknown as { level: SegmentLevel; state: number; storageVersion: bigint })
      : "";
    for (const field of fieldsOf(schema, message)) found.add(`${shapeOf(key)}${kind}: ${field}`);
  }
  return found;
}

function segmentKind({ level, state }: { readonly level: SegmentLevel; readonly state: number }): string {
  return ` ${SegmentLevel[level]} in state ${state}`;
}

/** Type and version of a message with the names of its headers. */
function headerShapes({ records }: Written): Set<string> {
  return new Set(records.map(({ headers }) => {
    const of = new Map(headers.map(([name, value]) => [name, new TextDecoder().decode(value)]));
    // No transaction of the recordings was rolled back; the message looks like the one that commits.
    const type = of.get("_t") === "902" ? "901" : of.get("_t");
    return `${type} ${of.get("_v")}: ${[...of.keys()].sort().join(" ")}`;
  }));
}

/** Of a segment that a compaction made and another one took: none of the recordings has one. */
const COMPACTED_TWICE = "by-dev/meta/datacoord-meta/s/N/N/N L1 in state 6: createdByCompaction";

function assertWithin(found: ReadonlySet<string>, known: ReadonlySet<string>): void {
  assert.deepEqual([...found.difference(known)].filter((shape) => shape !== COMPACTED_TWICE).sort(), []);
}

const REAL = ["2.6.19-kafka-v1", "2.6.19-kafka-v2", "3.0.0-kafka-v2"] as const;

Deno.test("a world writes keys, headers and files of the shapes that real servers wrote", async () => {
  const [world, real] = [await written(1), recorded(...REAL)];
  assertWithin(
    new Set(world.changes.map(({ key }) => shapeOf(key))),
    new Set(real.changes.map(({ key }) => shapeOf(key))),
  );
  assertWithin(valueShapes(world), valueShapes(real));
  assertWithin(headerShapes(world), headerShapes(real));
  assertWithin(new Set([...world.objects.keys()].map(shapeOf)), new Set([...real.objects.keys()].map(shapeOf)));
});
