/**
 * Dead letters are written to their targets again, between two runs. The state decides which: a run forgets a letter as
 * soon as it has applied anything newer of its key, so what the state still names is the newest that the source had.
 */
import { TidemarkError, toTidemarkError } from "../../errors.ts";
import type { DeadLetter, DeadLetters } from "../../model/mod.ts";
import type { FlowDependencies } from "../dependencies.ts";
import { type CollectionState, formatRunState, parseRunState, type RunState } from "../state/mod.ts";
import { rowWriter } from "./retry.ts";

export interface ReplayReport {
  /** Letters that were looked at. */
  readonly letters: number;
  readonly written: number;
  /** The target refuses them still. */
  readonly refused: readonly { readonly collection: string; readonly key: bigint | string; readonly reason: string }[];
  /** Their keys were written or deleted since, or their collections are gone. */
  readonly superseded: number;
}

interface Wanted {
  readonly own: CollectionState;
  readonly letters: Map<string, DeadLetter>;
}

/**
 * `files`: names of files of dead letters. Throws `locked` while a run holds the state, `not_found` for a state or a file
 * that is not there, `damaged`.
 */
export async function replayDeadLetters(
  deps: Pick<FlowDependencies, "state" | "sinks" | "now">,
  letters: DeadLetters,
  files: readonly string[],
  signal: AbortSignal,
): Promise<ReplayReport> {
  await using _lease = await deps.state.lock(signal);
  const text = await deps.state.read(signal);
  if (text === undefined) {
    throw new TidemarkError("not_found", `There is no state at ${deps.state.location}`, {
      hint: "Dead letters are replayed with the configuration of the run that put them aside.",
    });
  }
  const state = parseRunState(text, deps.state.location);
  const wanted = new Map<string, Wanted>();
  let seen = 0;
  let superseded = 0;
  for (const file of files) {
    for (const letter of await letters.read(file)) {
      seen++;
      const own = ownerOf(state, letter, file);
      if (own === undefined) {
        superseded++;
        continue;
      }
      const id = `${letter.sink}/${letter.collectionId}`;
      const some = wanted.get(id) ?? { own, letters: new Map() };
      // A letter that was written twice, around a crash, is one.
      if (some.letters.has(keyOf(letter))) superseded++;
      wanted.set(id, { own, letters: some.letters.set(keyOf(letter), letter) });
    }
  }
  const refused: ReplayReport["refused"][number][] = [];
  let written = 0;
  for (const { own, letters: some } of wanted.values()) {
    const before = own.refusedRows.size;
    refused.push(...await write(deps, own, [...some.values()], signal));
    written += before - own.refusedRows.size;
    noteStatus(state, own);
    state.savedAt = new Date(deps.now()).toISOString();
    await deps.state.write(formatRunState(state));
  }
  return { letters: seen, written, refused, superseded };
}

/** Undefined for a letter that the state no longer names. */
function ownerOf(state: RunState, letter: DeadLetter, file: string): CollectionState | undefined {
  const own = state.sinks.get(letter.sink)?.collections.get(letter.collectionId);
  const known = own?.phase === "dropped" ? undefined : own?.refusedRows.get(letter.partitionId, letter.key);
  return known !== undefined && known.file === file && known.ts === letter.ts ? own : undefined;
}

function keyOf({ partitionId, key }: DeadLetter): string {
  return `${partitionId}/${key}`;
}

async function write(
  { sinks }: Pick<FlowDependencies, "sinks">,
  own: CollectionState,
  letters: readonly DeadLetter[],
  signal: AbortSignal,
): Promise<ReplayReport["refused"][number][]> {
  const { collection, sink: name } = letters[0]!;
  const setup = sinks.find(({ sink }) => sink.name === name);
  const all = (reason: string) => letters.map(({ key }) => ({ collection, key, reason }));
  if (setup === undefined) return all(`the configuration has no sink ${name}`);
  const rows = letters.map(({ fieldsData, partitionId, key }) => ({
    row: own.refusedRows.get(partitionId, key)!,
    fieldsData,
  }));
  try {
    const refused = await rowWriter(setup.sink, own, signal)(rows);
    for (const { row, reason } of refused) own.refusedRows.set({ ...row, reason });
    return refused.map(({ row: { key }, reason }) => ({ collection, key, reason }));
  } catch (thrown) {
    const error = toTidemarkError(thrown);
    if (error.code !== "refused" && error.code !== "not_found" && error.code !== "unsupported") throw thrown;
    return all(error.message);
  }
}

/** What `status` shows until the next run. */
function noteStatus(state: RunState, own: CollectionState): void {
  const status = state.status as { collections?: { db?: string; name?: string; target?: string }[] } | null;
  const { source, target, refusedRows } = own;
  for (const shown of status?.collections ?? []) {
    const same = shown.db === source.db && shown.name === source.name && shown.target === `${target.db}.${target.name}`;
    if (same) Object.assign(shown, { refusedRows: refusedRows.status() });
  }
}
