/** Steps that change a collection on the target: asked of the policy, noted in the state, done only to what the run made. */
import { TidemarkError } from "../../errors.ts";
import {
  agreedText,
  BESIDE_ROWS,
  type Collection,
  type DdlOutcome,
  type DdlStep,
  forget,
  qualifiedName,
  type TargetName,
  type Thing,
  type WhoseCollection,
} from "../../model/mod.ts";
import { agreement } from "../agreed.ts";
import { agreedCollection, type Change, verdictOf } from "../../transforms/mod.ts";
import type { FlowDependencies, RowSinkSetup } from "../dependencies.ts";
import type { CollectionState, SinkState } from "../state/mod.ts";
import { foreignText, goneError, inTheWay, isReplaced, notMadeError, partitionGoneError } from "./existing_target.ts";
import { isAllowed } from "./ddl_decisions.ts";
import { Held } from "./held.ts";
import { hasMade, note, settle, whoseCollection } from "./whose.ts";

export interface StructureStepsOptions {
  readonly deps: FlowDependencies;
  readonly setup: RowSinkSetup;
  readonly state: SinkState;
  /** Makes the state durable. */
  readonly save: () => Promise<void>;
  readonly signal: AbortSignal;
  readonly refused: DdlOutcome[];
  /** A collection of the source as it is now; undefined: dropped. */
  readonly live: (id: bigint) => Collection | undefined;
  /** Told what became of the steps that rows do not need. */
  readonly beside: (own: CollectionState, outcomes: readonly DdlOutcome[], initial: boolean) => void;
}

export class StructureSteps {
  readonly #o: StructureStepsOptions;

  constructor(options: StructureStepsOptions) {
    this.#o = options;
  }

  /** Brings a collection to what is wanted, as far as the policy and the owners of what is there allow. */
  async apply(
    told: Collection,
    own: CollectionState,
    previous: TargetName | undefined,
    parts: "structure" | "all",
    initial: boolean,
    target = own.target,
  ): Promise<void> {
    const { deps, setup, signal, refused, save } = this.#o;
    const noted = new Map<string, readonly Thing[]>();
    const collection = withoutDropped(told, own);
    const problem = await this.#agree(collection, own, target);
    const outcomes = await setup.sink.reconcile(
      { source: agreedCollection(collection, own.agreed), target, whose: this.#whose(own, target) },
      previous,
      parts,
      async (step) => {
        // It was made once: an empty one in its place would lack every row that was written before.
        if (step.kind === "create_collection" && own.phase !== "creating") {
          throw new Held(goneError(own, setup.sink.name));
        }
        if (step.partition !== undefined && own.partitions.includes(step.partition)) {
          throw new Held(partitionGoneError(own, step.partition, setup.sink.name));
        }
        if (!initial && !isAllowed(deps, step, own, false)) return "skip";
        const fresh = note(own.made, step);
        noted.set(step.sentence, fresh);
        if (fresh.length > 0) await save();
        return "apply";
      },
      signal,
    );
    if (parts === "all") own.adopt = false;
    for (const outcome of outcomes) settle(own.made, outcome, noted.get(outcome.sentence) ?? []);
    const missing = new Set(outcomes.flatMap(({ result, partition }) => result === "applied" ? [] : partition ?? []));
    for (const { result, partition } of outcomes) {
      if (result === "applied" && partition !== undefined) own.partitionsRefused.delete(partition);
    }
    own.partitions = collection.partitions.map(({ name }) => name).filter((name) => !missing.has(name));
    if (parts === "all") this.#o.beside(own, outcomes.filter(({ kind }) => BESIDE_ROWS.has(kind)), initial);
    for (const outcome of outcomes) {
      if (outcome.result === "refused" && BESIDE_ROWS.has(outcome.kind) && outcome.foreign === undefined) continue;
      if (outcome.foreign?.fate === "left" || outcome.foreign?.fate === "taken") {
        // Each once, and for whoever reads the status, too.
        deps.report.warn(`foreign ${setup.sink.name} ${outcome.sentence}`, foreignText(outcome, outcome.foreign));
      } else deps.report.ddl(outcome);
      if (outcome.kind === "alter_alias" && outcome.result === "applied") this.#giveUp(outcome, own);
      if (outcome.result !== "refused") continue;
      if (outcome.foreign?.fate === "held") throw new Held(inTheWay(outcome, outcome.foreign));
      if (outcome.kind === "create_partition" && outcome.partition !== undefined) {
        // Its rows have no place; those of all other partitions do not wait for it.
        if (!own.partitionsRefused.has(outcome.partition)) {
          refused.push(outcome);
          deps.report.warn(
            `refused ${outcome.sentence}`,
            `${outcome.sentence}: the target refused: ${outcome.detail}; rows of that partition are held, all others go on`,
          );
        }
        own.partitionsRefused.set(outcome.partition, outcome.detail);
        continue;
      }
      if (!initial && deps.ddl.onRefusal(outcome) === "report" && outcome.kind !== "create_collection") {
        refused.push(outcome);
        deps.report.warn(`refused ${outcome.sentence}`, `${outcome.sentence}: the target refused: ${outcome.detail}`);
        continue;
      }
      const about = outcome.kind === "alter_collection" && problem !== undefined ? `. ${problem}` : "";
      throw new Held(
        new TidemarkError("refused", `${outcome.sentence}: the target refused: ${outcome.detail}${about}`, {
          hint: refusalHint(outcome.kind, initial),
        }),
      );
    }
  }

  /**
   * Settles what becomes of columns that the target does not take. Durable before the collection is made without them. Returns
   * what is not settled of one that is there already.
   */
  async #agree(collection: Collection, own: CollectionState, target: TargetName): Promise<string | undefined> {
    const { deps, setup, signal, save } = this.#o;
    const made = own.phase !== "creating" || !own.made.has("collection");
    const { columns, problem } = await agreement(deps, setup, { source: collection, target }, own, made, signal);
    if (problem !== undefined && own.phase === "creating") {
      throw new Held(
        new TidemarkError("unsupported", `${qualifiedName(collection)}: ${problem}`, {
          hint:
            "Choose what becomes of such columns (transforms.unsupported), leave the collection out, or copy to a newer Milvus.",
        }),
      );
    }
    const fresh = columns.slice(own.agreed.length);
    if (fresh.length === 0) return problem;
    own.agreed = columns;
    await save();
    for (const one of fresh) {
      deps.report.warn(
        `agreed ${setup.sink.name} ${own.id} ${one.fieldId}`,
        `${qualifiedName(collection)} on ${setup.sink.name}: ${agreedText(one)}`,
      );
    }
    return problem;
  }

  /** Whose is what is there of a collection, under the name that it has or is to have. */
  #whose(own: CollectionState, target: TargetName): WhoseCollection {
    const { deps, setup, state } = this.#o;
    const { aliases } = deps;
    return whoseCollection({
      aliases,
      onExisting: setup.onExisting,
      state,
      own,
      target,
      live: (id) => this.#o.live(id),
    });
  }

  /** An alias that moved to `own` is no other's any more. */
  #giveUp({ makes = [] }: DdlOutcome, own: CollectionState): void {
    for (const thing of makes) {
      if (thing.kind !== "alias") continue;
      for (const other of this.#o.state.collections.values()) if (other !== own) forget(other.made, thing);
    }
  }

  /** Whether the source dropped a partition before it was made here, and nobody else has one of its name. */
  async lacksPartition(name: string, own: CollectionState): Promise<boolean> {
    const { setup, signal } = this.#o;
    if (hasMade(own, { kind: "partition", name }, setup.onExisting)) return false;
    const { exists, partitions } = await setup.sink.state(own.target, signal);
    return exists && !partitions.includes(name);
  }

  /** Throws {@link Held} where a destructive step concerns what the run did not make. */
  async refuseNotMade(change: Change, thing: Thing, step: DdlStep, own: CollectionState): Promise<void> {
    const { setup, signal } = this.#o;
    const replaced = await isReplaced(setup, own, signal);
    const owner = !replaced && hasMade(own, thing, setup.onExisting) ? "run" : "foreign";
    if (verdictOf(change, owner) === "held") throw new Held(notMadeError(own, step.sentence, setup.sink.name));
  }
}

/** What the metadata says may be older than the log: a partition whose drop was applied is not to be made again. */
function withoutDropped(collection: Collection, { partitionsDropped }: CollectionState): Collection {
  const partitions = collection.partitions.filter(({ id }) => !partitionsDropped.includes(id));
  return partitions.length === collection.partitions.length ? collection : { ...collection, partitions };
}

/** What helps against a change that the target refuses: what rows need cannot be let pass, and a first copy makes all or nothing. */
export function refusalHint(kind: DdlOutcome["kind"], initial: boolean): string {
  return initial || kind === "create_collection"
    ? "Mend it on the target and start the run again, or leave the collection out (transforms.select.exclude)."
    : "Mend it on the target and start the run again, or set transforms.ddl.policy to try_evolve.";
}
