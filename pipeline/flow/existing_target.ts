/** What is on the target though this run did not make it, and what is not though it did. */
import { TidemarkError } from "../errors.ts";
import { type Collection, qualifiedName, type TargetName } from "../model/mod.ts";
import type { FlowDependencies, RowSinkSetup } from "./dependencies.ts";
import { Slots } from "./base_copy.ts";
import { Held } from "./held.ts";
import type { CollectionState, SinkState } from "./run_state.ts";

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
): Promise<void> {
  switch (setup.onExisting) {
    case "merge":
      return;
    case "replace":
      deps.report.info(`Replaces ${target.db}.${target.name} (${rows} rows) on ${setup.sink.name}`);
      await setup.sink.dropCollection(target, signal);
      return;
    case "fail":
      throw new Held(
        new TidemarkError(
          "target_not_empty",
          `${target.db}.${target.name} exists on ${setup.sink.name} already (${rows} rows), so ${
            qualifiedName(collection)
          } cannot be copied there`,
          {
            hint:
              `Set sinks.${setup.sink.name}.on_existing to merge (upsert into it) or replace (drop it first), or route the collection elsewhere.`,
          },
        ),
      );
  }
}

/** A collection that this run had made is not there. */
export function goneError(own: CollectionState, sink: string): TidemarkError {
  return new TidemarkError(
    "not_found",
    `${own.target.db}.${own.target.name} is gone from ${sink}, where it had been made`,
    {
      hint:
        `Somebody dropped or renamed it there. The next start copies ${own.source.db}.${own.source.name} afresh; to keep what is there, give it its name back before.`,
    },
  );
}

/** Whether what had been made is under none of its names. */
export async function isGone(
  { sink }: Pick<RowSinkSetup, "sink">,
  { phase, target, renaming }: CollectionState,
  signal: AbortSignal,
): Promise<boolean> {
  if (phase !== "base" && phase !== "tail") return false;
  for (const name of [target, ...renaming === undefined ? [] : [renaming]]) {
    if (await sink.exists(name, signal)) return false;
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
): Promise<CollectionState[]> {
  const slots = new Slots(LOOKUPS);
  const gone: CollectionState[] = [];
  const owned = new Set([...state.collections.values()].filter(({ phase }) => phase !== "dropped").map(textOf));
  const settle = async (own: CollectionState) => {
    const { renaming } = own;
    own.renaming = undefined;
    if (await sink.exists(own.target, signal)) return;
    if (renaming !== undefined && await sink.exists(renaming, signal)) {
      own.target = renaming;
      return;
    }
    const wanted = wantedName(own.id);
    if (wanted === undefined || own.phase === "creating") return;
    // Somebody made the source's rename there, as they are told to where the policy leaves renames to them.
    if (!owned.has(textOf({ target: wanted })) && await sink.exists(wanted, signal)) return;
    gone.push(own);
  };
  const unsure = [...state.collections.values()].filter(({ id, phase, renaming }) =>
    phase !== "dropped" && (renaming !== undefined || (phase !== "creating" && wantedName(id) !== undefined))
  );
  await Promise.all(unsure.map((own) => slots.run(() => settle(own))));
  for (const { id, vchannels } of gone) {
    state.collections.delete(id);
    for (const vchannel of vchannels) state.vchannels.delete(vchannel);
  }
  return gone;
}

function textOf({ target: { db, name } }: Pick<CollectionState, "target">): string {
  return `${db}.${name}`;
}
