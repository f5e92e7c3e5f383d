/**
 * What a recording's servers did, in one order. The log says when each record was written; etcd's revisions carry no time, but
 * what they write does: timestamps of records and ids that the cluster's clock gave. Each revision is put behind all that it
 * knows of, and the recording's moments say for certain what came before them and what behind.
 */
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
  for (const moment of [...moments, undefined]) {
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

function timed({ revisions, records }: Recording): { ms: number; revision: EtcdRevision }[] {
  const first = records.reduce((min, { ms }) => Math.min(min, ms), Infinity) - 60_000;
  const last = records.reduce((max, { ms }) => Math.max(max, ms), 0) + 60_000;
  let known = first;
  return revisions.map((revision) => {
    for (const { key, value } of revision.changes) {
      // Bounds that the allocators reserve lie in the future.
      if (/timestamp$/i.test(key) || value === undefined) continue;
      for (const ms of hybridTimes(value, first, last)) if (ms > known) known = ms;
    }
    return { ms: known, revision };
  });
}

/** Unix ms of every varint in `bytes` that is a hybrid timestamp, or an id made of one, between `first` and `last`. */
function* hybridTimes(bytes: Uint8Array, first: number, last: number): Generator<number> {
  for (let at = 0; at + 9 <= bytes.length; at++) {
    let value = 0n;
    let i = 0;
    for (; i < 8 && (bytes[at + i]! & 0x80) !== 0; i++) value |= BigInt(bytes[at + i]! & 0x7f) << BigInt(7 * i);
    if (i !== 8 || (bytes[at + 8]! & 0x80) !== 0) continue;
    value |= BigInt(bytes[at + 8]!) << 56n;
    const ms = Number(value >> 18n);
    if (ms >= first && ms <= last) yield ms;
  }
}
