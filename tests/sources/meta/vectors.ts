/** Metadata made with Milvus' own Go library, and what it means. */
import { parseRecords } from "../../../sources/meta/records.ts";
import { decodeSnapshot, type MetaReading } from "../../../sources/meta/snapshot.ts";
import type { MetaRecord } from "../../../sources/meta/keys.ts";

const FOLDER = new URL("../../vectors/", import.meta.url);
export const ROOTS = { metaRoot: "by-dev/meta", kvRoot: "by-dev/kv" };

export function vectorRecords(name: string): MetaRecord[] {
  return [...parseRecords(Deno.readTextFileSync(new URL(`${name}.jsonl`, FOLDER)))];
}

export function vectorReading(name: string): MetaReading {
  // The torn read has no clock of its own; its expectation names the time of reading.
  const at = name === "meta-v25-torn" ? { takenAtMs: 1_735_689_610_000 } : {};
  return decodeSnapshot(vectorRecords(name), { ...ROOTS, ...at });
}

/** Without the name of the case and the words about it. */
export function vectorExpectation(name: string): unknown {
  const { case: _case, note: _note, ...expected } = JSON.parse(
    Deno.readTextFileSync(new URL(`${name}.expected.json`, FOLDER)),
  );
  return expected;
}
