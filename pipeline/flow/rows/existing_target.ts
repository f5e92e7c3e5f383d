/** What is on the target though this run did not make it, and what is not though it did. */
import { TidemarkError } from "../../errors.ts";
import { type Collection, type DdlStep, type ForeignThing, qualifiedName, type TargetName } from "../../model/mod.ts";
import type { FlowDependencies, RowSinkSetup } from "../dependencies.ts";
import { type Consent, verdictOf } from "../../transforms/mod.ts";
import { Slots } from "../base/mod.ts";
import { Held } from "./held.ts";
import type { CollectionState, SinkState } from "../state/mod.ts";
import { plural } from "../../units/mod.ts";

/** How many collections of the target are asked for at once. */
const LOOKUPS = 16;

/** The target's name is taken by something that this run did not make: `on_existing` says what happens. */
export async function makeRoom(
  deps: Pick<FlowDependencies, "report">,
  setup: RowSinkSetup,
  collection: Collection,
  target: TargetName,
  rows: bigint,
  signal: AbortSignal,
): Promise<"merged" | "replaced"> {
  const consents = [`on_existing: ${setup.onExisting}`] as Consent[];
  if (verdictOf("replace_collection", "foreign", consents) === "taken") {
    deps.report.info(`Replaces ${target.db}.${target.name} (${rows} ${plural(rows, "row")}) on ${setup.sink.name}`);
    await setup.sink.dropCollection(target, signal);
    return "replaced";
  }
  if (verdictOf("create_collection", "foreign", consents) === "taken") return "merged";
  throw new Held(
    new TidemarkError(
      "target_not_empty",
      `${target.db}.${target.name} exists on ${setup.sink.name} already (${rows} ${plural(rows, "row")}), so ${
        qualifiedName(collection)
      } cannot be copied there`,
      {
        hint:
          `Set sinks.${setup.sink.name}.on_existing to merge (upsert into it) or replace (drop it first), or route the collection elsewhere.`,
      },
    ),
  );
}

/** What destroys rows is not done to what the run did not make, nor to what has its name by now. */
export function notMadeError(own: CollectionState, sentence: string, sink: string): TidemarkError {
  return new TidemarkError("refused", `${sentence}: ${textOf(own)} on ${sink} holds what this run did not make`, {
    hint: `Do it there yourself, or drop ${
      textOf(own)
    } there, and start the run again: what is gone there is copied afresh.`,
  });
}

/** Whether the name belongs to another collection than the one that had been made. */
export async function isReplaced(
  { sink }: Pick<RowSinkSetup, "sink">,
  own: CollectionState,
  signal: AbortSignal,
): Promise<boolean> {
  const found = await sink.identity(own.target, signal);
  return found !== undefined && !isSame(own, found);
}

/** What is said of a step that somebody else's thing is in the way of. */
export function foreignText({ sentence }: DdlStep, { words }: ForeignThing): string {
  return `${sentence}: ${words}`;
}

/** Nothing that depends on the step is carried. */
export function inTheWay({ kind, sentence }: DdlStep, { words }: ForeignThing): TidemarkError {
  const code = kind === "create_collection" ? "target_not_empty" : "refused";
  return new TidemarkError(code, `${sentence}: ${words}`, {
    hint:
      "Drop, rename or move what is in the way on the target, or change transforms.route; transforms.aliases: take moves aliases. Then start the run again.",
  });
}

/** A collection that this run had made is not there. */
export function goneError(own: CollectionState, sink: string): TidemarkError {
  return new TidemarkError("not_found", `${textOf(own)} is gone from ${sink}, where it had been made`, {
    hint:
      `Somebody dropped or renamed it there. The next start copies ${own.source.db}.${own.source.name} afresh; to keep what is there, give it its name back before.`,
  });
}

/** A partition that this run had made is not there. */
export function partitionGoneError(own: CollectionState, partition: string, sink: string): TidemarkError {
  return new TidemarkError(
    "not_found",
    `Partition ${partition} of ${textOf(own)} is gone from ${sink}, where it had been made`,
    {
      hint: `Somebody dropped it there, with its rows. Drop ${
        textOf(own)
      } as well and start the run again: it is copied afresh then.`,
    },
  );
}

/** Throws {@link Held} where a rename leads to a name that something on the target has which this run did not make. */
export async function refuseForeign(
  { sink }: Pick<RowSinkSetup, "sink">,
  own: CollectionState,
  to: TargetName,
  signal: AbortSignal,
): Promise<void> {
  const found = await sink.identity(to, signal);
  if (found === undefined) return;
  if (isSame(own, found) && await sink.identity(own.target, signal) === undefined) return;
  if (verdictOf("take_name_by_rename", "foreign") !== "held") return;
  const name = textOf({ target: to });
  throw new Held(
    new TidemarkError("refused", `${textOf(own)} cannot be renamed to ${name}: that exists on ${sink.name} already`, {
      hint: `Drop or rename ${name} there, or change transforms.route, and start the run again.`,
    }),
  );
}

/** Two collections of the source are routed to one name. */
export function clashError(a: Collection, b: Collection, target: TargetName): TidemarkError {
  return new TidemarkError(
    "config",
    `${qualifiedName(a)} and ${qualifiedName(b)} both go to ${target.db}.${target.name}`,
    { hint: "Change transforms.route so that every collection has a name of its own." },
  );
}

/** A name is needed that one has whose drop was left out. */
export function keptError(target: TargetName): TidemarkError {
  return new TidemarkError(
    "refused",
    `${target.db}.${target.name} on the target still holds a collection that the source dropped`,
    {
      hint:
        "It was left there, by the DDL policy or because it holds what this run did not write: drop or rename it on the target.",
    },
  );
}

/** What runs before this one had made and is not there any more. */
export interface GoneTarget {
  readonly own: CollectionState;
  /** Its name belongs to another one. */
  readonly replaced: boolean;
}

/** Whether what had been made is under none of its names, nor under the one that is wanted now. */
export async function isGone(
  { sink }: Pick<RowSinkSetup, "sink">,
  own: CollectionState,
  wanted: TargetName,
  signal: AbortSignal,
): Promise<boolean> {
  if (own.phase !== "base" && own.phase !== "tail") return false;
  for (const name of [own.target, ...own.renaming === undefined ? [] : [own.renaming], wanted]) {
    const found = await sink.identity(name, signal);
    if (found !== undefined && isSame(own, found)) return false;
  }
  return true;
}

/**
 * Finds out what runs before this one left: which name a collection has that was being renamed, and which are not there any
 * more though they had been made. Those are taken out of the state, so that they are copied afresh, and returned.
 * `wantedName`: undefined for what the source dropped.
 */
export async function settleTargets(
  { sink }: Pick<RowSinkSetup, "sink">,
  state: SinkState,
  wantedName: (id: bigint) => TargetName | undefined,
  signal: AbortSignal,
): Promise<GoneTarget[]> {
  const slots = new Slots(LOOKUPS);
  const gone: GoneTarget[] = [];
  const owned = new Set([...state.collections.values()].filter(({ phase }) => phase !== "dropped").map(textOf));
  const settle = async (own: CollectionState) => {
    const { renaming } = own;
    own.renaming = undefined;
    const wanted = wantedName(own.id);
    const names = [own.target, ...renaming === undefined ? [] : [renaming]];
    // Somebody may have made the source's rename there, as they are told to where the policy leaves renames to them.
    if (wanted !== undefined && !owned.has(textOf({ target: wanted }))) names.push(wanted);
    let replaced = false;
    for (const name of names) {
      const found = await sink.identity(name, signal);
      if (found === undefined) continue;
      if (isSame(own, found)) {
        own.target = name;
        own.identity = found;
        return;
      }
      replaced ||= name === own.target;
    }
    if (wanted !== undefined && own.phase !== "creating") gone.push({ own, replaced });
  };
  const unsure = [...state.collections.values()].filter(({ id, phase, renaming }) =>
    phase !== "dropped" && (renaming !== undefined || (phase !== "creating" && wantedName(id) !== undefined))
  );
  await Promise.all(unsure.map((own) => slots.run(() => settle(own))));
  for (const { own: { id, vchannels } } of gone) {
    state.collections.delete(id);
    for (const vchannel of vchannels) state.vchannels.delete(vchannel);
  }
  return gone;
}

/** A target that does not tell is believed. */
function isSame({ identity }: CollectionState, found: string): boolean {
  return identity === "" || found === "" || identity === found;
}

function textOf({ target: { db, name } }: Pick<CollectionState, "target">): string {
  return `${db}.${name}`;
}
