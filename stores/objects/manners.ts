/** What a store's server can do, found out by trying, and what is done in the place of what it cannot. */
import { toTidemarkError } from "../../pipeline/errors.ts";
import type { CheckLine, ObjectStore } from "../../pipeline/model/mod.ts";
import { CLOCK_WARN_MS } from "./clock.ts";
import { undecorated } from "./undecorated.ts";

export interface Manner {
  /** What works, in a few words; or what does not, and what is done instead. */
  readonly text: string;
  readonly ok: CheckLine["ok"];
}

/** A store that can say of its server what the calls of an {@link ObjectStore} hide. */
export interface Mannered {
  /**
   * `key`: of an object of the store, with at least two bytes.
   * `writes`: the object is the caller's own, and others may be written beside it, which are removed.
   */
  manners(key: string, writes: boolean, signal: AbortSignal): Promise<readonly Manner[]>;
  /** By how much the server's clock is ahead of this machine's, ms, as its last answer said; undefined without one. */
  clockAheadMs(): number | undefined;
}

/**
 * Writes, reads and removes small objects of a store that is written to anyway, `below` a folder of our own (ends in `/`) or at
 * its top. One line, and one for each thing amiss.
 */
export async function checkWritable(
  what: string,
  store: ObjectStore,
  below: string,
  signal: AbortSignal,
): Promise<CheckLine[]> {
  const key = `${below}_tidemark_check_${crypto.randomUUID()}`;
  const own = [key, `${key}_copy`];
  const bytes = new TextEncoder().encode("tidemark");
  try {
    await store.put(key, bytes, {}, signal);
    const manners: Manner[] = [];
    const range = await store.get(key, { start: 1, end: 3 }, signal);
    if (new TextDecoder().decode(range) !== "id") {
      throw new Error(`A range of ${key} in ${store.location} is not what was written`);
    }
    manners.push(await refusesSecond(store, key, bytes, signal));
    manners.push(
      await store.copyFrom(store, key, own[1]!, signal, BigInt(bytes.length)) === undefined
        ? { ok: "warn", text: "no copying by the server: bytes go through this machine" }
        : { ok: "ok", text: "copies by the server" },
    );
    manners.push(...await manneredOf(store)?.manners(key, true, signal) ?? []);
    await store.delete(own, signal);
    return linesOf(what, "can be written, read and deleted from", store, manners);
  } catch (thrown) {
    // Whatever is left of it; where that fails, too, the first error says why.
    await store.delete(own).catch(() => {});
    return [failed(what, thrown)];
  }
}

/** Reads only. `key`: of an object that is there. No line for a store that has nothing to say. */
export async function checkReadable(
  what: string,
  store: ObjectStore,
  key: string,
  signal: AbortSignal,
): Promise<CheckLine[]> {
  const mannered = manneredOf(store);
  if (mannered === undefined) return [];
  try {
    return linesOf(what, "read only", store, await mannered.manners(key, false, signal));
  } catch (thrown) {
    return [failed(what, thrown)];
  }
}

/** Whether the server of `target` copies `key` of `source` by itself, tried by a copy that is removed. */
export async function checkCopy(
  what: string,
  source: ObjectStore,
  key: string,
  target: ObjectStore,
  signal: AbortSignal,
): Promise<CheckLine> {
  const copy = `_tidemark_check_${crypto.randomUUID()}`;
  try {
    const done = await target.copyFrom(source, key, copy, signal);
    // Also where it copies nothing: some servers leave an empty object.
    await target.delete([copy], signal);
    if (done === undefined) {
      const detail =
        `files of ${source.location} are read and written by this machine: the server cannot copy them here`;
      return { what, ok: "ok", detail };
    }
    return { what, ok: "ok", detail: `the server itself copies files of ${source.location}` };
  } catch (thrown) {
    await target.delete([copy]).catch(() => {});
    return failed(what, thrown);
  }
}

async function refusesSecond(store: ObjectStore, key: string, bytes: Uint8Array, signal: AbortSignal): Promise<Manner> {
  try {
    await store.put(key, bytes, { ifAbsent: true }, signal);
  } catch (thrown) {
    if (toTidemarkError(thrown).code !== "refused") throw thrown;
    return { ok: "ok", text: "what exists is not replaced" };
  }
  return { ok: "fail", text: "an object that exists is replaced where that was forbidden" };
}

function linesOf(what: string, done: string, store: ObjectStore, manners: readonly Manner[]): CheckLine[] {
  const texts = manners.filter(({ ok }) => ok === "ok").map(({ text }) => text);
  const lines: CheckLine[] = manners.filter(({ ok }) => ok !== "ok")
    .map(({ ok, text }) => ({ what, ok, detail: text, ...(ok === "fail" ? { code: "unsupported" as const } : {}) }));
  const ahead = manneredOf(store)?.clockAheadMs();
  if (ahead !== undefined) {
    const by = `${Math.round(Math.abs(ahead) / 1000)} s ${ahead < 0 ? "behind" : "ahead"}`;
    if (Math.abs(ahead) < CLOCK_WARN_MS) texts.push("clocks agree");
    else {lines.push({
        what,
        ok: "warn",
        detail: `the server's clock is ${by}: set this machine's clock, or the server's`,
      });}
  }
  return [{ what, ok: "ok", detail: texts.length === 0 ? done : `${done}: ${texts.join(", ")}` }, ...lines];
}

function manneredOf(store: ObjectStore): Mannered | undefined {
  const bottom = undecorated(store) as Partial<Mannered>;
  return bottom.manners === undefined ? undefined : bottom as Mannered;
}

function failed(what: string, thrown: unknown): CheckLine {
  const error = toTidemarkError(thrown);
  return { what, ok: "fail", detail: `${error.message}. ${error.hint ?? ""}`.trim(), code: error.code };
}
