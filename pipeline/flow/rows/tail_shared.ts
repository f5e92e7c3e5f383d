/** What the lanes of a row sink's tail and the metadata's side of it both work on. */
import type { HybridTs, ResumePoint } from "../../model/mod.ts";
import type { Barriers } from "./barriers.ts";
import type { LaneItem } from "./lane_work.ts";
import type { RowTailOptions } from "./tail_options.ts";

/**
 * Why the events of a collection are only acknowledged. `gone`: it was dropped, or is not made; `unselected`: this run
 * has passed over what it holds; `held`: it goes on from its own resume points with the next run; `later`: its base, whose cuts
 * are its resume points, is still to come or goes on.
 */
export type NotCarried = "gone" | "unselected" | "held" | "later";

/** Collections that a run does not carry from its first record on, whatever becomes of their names. */
export function* notCarriedFrom({ deps, state, targets }: RowTailOptions): Generator<[bigint, NotCarried]> {
  for (const { id, dbName, name } of targets.catalog.collections) {
    // Its rows lie before where the log is read from, or are passed over: under no name can this run bring it whole.
    if (!deps.selects(dbName, name) && !state.collections.has(id)) yield [id, "unselected"];
  }
  for (const id of targets.later) yield [id, "later"];
}

/** Whether its own resume points stay where they are. */
export function standsStill(stopped: NotCarried | undefined): boolean {
  return stopped === "held" || stopped === "later";
}

/** What the lanes and the catalog's side both work on. */
export interface TailShared {
  readonly notCarried: Map<bigint, NotCarried>;
  readonly barriers: Barriers;
  /** How far the groups of a vchannel have entered its lane, or were on the target before. */
  readonly enteredTo: (vchannel: string) => ResumePoint;
  /** pchannel -> up to when its log is known to have nothing behind what has entered. */
  readonly silentTo: ReadonlyMap<string, HybridTs>;
  /** Runs work whose errors hold only that collection. */
  readonly guard: (id: bigint, name: string, work: () => Promise<void>) => Promise<boolean>;
  /** Puts an item into a lane. */
  readonly announce: (item: LaneItem) => void;
  /** Brings the rows of an import, once. */
  readonly load: (item: Omit<ImportItem, "kind" | "vchannel" | "ticket">) => Promise<void>;
}

type ImportItem = Extract<LaneItem, { kind: "import" }>;
