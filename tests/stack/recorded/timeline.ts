/**
 * What a recording's servers did, in one order. The log says when each record was written; etcd's revisions carry no time, but
 * what they write does: time ticks and places of records, and ids that the cluster's clock gave. Each revision is put behind all
 * that it knows of, and the recording's moments say for certain what came before them and what behind.
 */
import { fromBinary } from "@bufbuild/protobuf";
import { CollectionInfoSchema } from "../../../pipeline/proto/gen/etcd_meta_pb.ts";
import { MsgPositionSchema } from "../../../pipeline/proto/gen/msg_pb.ts";
import type { EtcdRevision, Moment, RecordedRecord, Recording } from "./recording.ts";

export type Step =
  | { readonly kind: "objects"; readonly ms: number; readonly keys: readonly string[] }
  | { readonly kind: "revision"; readonly ms: number; readonly revision: EtcdRevision }
  | { readonly kind: "record"; readonly ms: number; readonly record: RecordedRecord }
  | { readonly kind: "moment"; readonly ms: number; readonly moment: Moment };

/** Every step once. Objects that a moment is the first to list come right behind the moment before it. */
export function timelineOf(recording: Recording): Step[] {
  const { records, objects, moments } = recording;
  const revisions = timed(recording);
  const steps: Step[] = [];
  const seen = new Set<string>();
  let from: Pick<Moment, "revision" | "offsets"> = { revision: 0n, offsets: new Map() };
  for (const moment of [...moments.map((moment) => confirmed(moment, records)), undefined]) {
    const keys = [...objects.keys()].filter((key) =>
      !seen.has(key) && (moment === undefined || moment.objects.has(key))
    );
    keys.forEach((key) => seen.add(key));
    const part: Step[] = [
      ...records.filter(({ topic, offset }) =>
        offset >= (from.offsets.get(topic) ?? 0) && (moment === undefined || offset < (moment.offsets.get(topic) ?? 0))
      ).map((record): Step => ({ kind: "record", ms: record.ms, record })),
      ...revisions.filter(({ revision: { revision } }) =>
        revision > from.revision && (moment === undefined || revision <= moment.revision)
      ).map(({ ms, revision }): Step => ({ kind: "revision", ms, revision })),
    ];
    const start = steps.at(-1)?.ms ?? part[0]?.ms ?? 0;
    if (keys.length > 0) steps.push({ kind: "objects", ms: start, keys });
    steps.push(...inOrder(part));
    if (moment === undefined) break;
    steps.push({ kind: "moment", ms: moment.ms, moment });
    from = moment;
  }
  return steps;
}

/** By time; records of one topic by offset and revisions by number, whatever their times say. */
function inOrder(steps: readonly Step[]): Step[] {
  const lastOf = new Map<string, number>();
  const placed = steps.map((step, i) => {
    const line = step.kind === "record" ? step.record.topic : step.kind;
    const ms = Math.max(step.ms, lastOf.get(line) ?? 0);
    lastOf.set(line, ms);
    // What etcd says of a record is said when the record is there.
    return { step, ms, rank: step.kind === "record" ? 0 : 1, i };
  });
  return placed.sort((a, b) => a.ms - b.ms || a.rank - b.rank || a.i - b.i).map(({ step, ms }) => ({ ...step, ms }));
}

/** What clients had done by then is told by the ticks behind it, which were written a moment later. */
function confirmed(moment: Moment, records: readonly RecordedRecord[]): Moment {
  const offsets = new Map(moment.offsets);
  for (const { topic, offset, headers } of records) {
    const isTick = headers.some(([name, value]) => name === "_t" && new TextDecoder().decode(value) === "1");
    if (isTick && offsets.get(topic) === offset) offsets.set(topic, offset + 1);
  }
  return { ...moment, offsets };
}

/** Of generation 2, as the record's header says it. */
function tickOf({ headers }: RecordedRecord): bigint | undefined {
  const tick = headers.find(([name]) => name === "_tt")?.[1];
  if (tick === undefined) return undefined;
  let value = 0n;
  for (const digit of new TextDecoder().decode(tick)) value = value * 36n + BigInt(parseInt(digit, 36));
  return value;
}

function timed({ revisions, records }: Recording): { ms: number; revision: EtcdRevision }[] {
  const first = records.reduce((min, { ms }) => Math.min(min, ms), Infinity) - 60_000;
  const last = records.reduce((max, { ms }) => Math.max(max, ms), 0) + 60_000;
  // When a record was there, by its place and by its time tick.
  const behind = new Map<string | bigint, number>();
  const at = new Map<string, number>();
  for (const record of records) {
    const { topic, offset } = record;
    const ms = Math.max(at.get(topic) ?? 0, record.ms);
    at.set(topic, ms);
    behind.set(`${topic}/${offset}`, ms);
    const tick = tickOf(record);
    // Two topics may have the same one.
    if (tick !== undefined) behind.set(tick, Math.min(behind.get(tick) ?? ms, ms));
  }
  let known = first;
  return revisions.map((revision) => {
    for (const { key, value } of revision.changes) {
      // Bounds that the allocators reserve lie in the future.
      if (/timestamp$/i.test(key) || value === undefined) continue;
      for (const ts of hybridTimes(value, first, last)) {
        known = Math.max(known, Number(ts >> 18n), behind.get(ts) ?? first);
      }
      for (const place of placesIn(key, value)) known = Math.max(known, behind.get(place) ?? first);
    }
    return { ms: known, revision };
  });
}

/** `topic/offset` of the records that a value names: a collection's beginning, a channel's checkpoint. */
function placesIn(key: string, value: Uint8Array): string[] {
  const offsetOf = (id: Uint8Array) =>
    id.length === 8 ? new DataView(id.buffer, id.byteOffset, 8).getBigInt64(0, true) : undefined;
  if (/\/channel-cp\//.test(key)) {
    const { channelName, msgID } = fromBinary(MsgPositionSchema, value);
    return [`${channelName.replace(/_\d+v\d+$/, "")}/${offsetOf(msgID)}`];
  }
  if (!/\/collection-info\/|\/root-coord\/collection\//.test(key)) return [];
  const { startPositions } = fromBinary(CollectionInfoSchema, value);
  return startPositions.map(({ key, data }) => `${key.replace(/_\d+v\d+$/, "")}/${offsetOf(data)}`);
}

/** Every varint in `bytes` that is a hybrid timestamp, or an id made of one, between `first` and `last` in unix ms. */
function* hybridTimes(bytes: Uint8Array, first: number, last: number): Generator<bigint> {
  for (let at = 0; at + 9 <= bytes.length; at++) {
    let value = 0n;
    let i = 0;
    for (; i < 8 && (bytes[at + i]! & 0x80) !== 0; i++) value |= BigInt(bytes[at + i]! & 0x7f) << BigInt(7 * i);
    if (i !== 8 || (bytes[at + 8]! & 0x80) !== 0) continue;
    value |= BigInt(bytes[at + 8]!) << 56n;
    const ms = Number(value >> 18n);
    if (ms >= first && ms <= last) yield value;
  }
}

/**
 * The last timestamp that nothing behind a moment has. Not the recorder's clock: a node hands out timestamps that it took a
 * while ago, so what came later may be stamped before the moment. Throws where no timestamp parts what was from what came.
 */
export function timestampOf({ records }: Pick<Recording, "records">, moment: Moment): bigint {
  let before = 0n;
  let behind: bigint | undefined;
  for (const record of records) {
    const tick = tickOf(record);
    if (tick === undefined || isTick(record)) continue;
    if (record.offset < (moment.offsets.get(record.topic) ?? 0)) before = tick > before ? tick : before;
    else if (behind === undefined || tick < behind) behind = tick;
  }
  const ts = behind === undefined ? before : behind - 1n;
  if (ts < before) throw new Error(`At ${moment.label} a record of before has ${before}, one from behind ${behind}`);
  return ts;
}

function isTick({ headers }: RecordedRecord): boolean {
  return headers.some(([name, value]) => name === "_t" && new TextDecoder().decode(value) === "1");
}
