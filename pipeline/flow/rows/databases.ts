/**
 * Databases on one sink. What the source no longer has is dropped only where the policy names that, and only once
 * nothing that the run made is in it any more: the drops of its collections come by the log, later than the metadata.
 */
import type { Catalog, DdlOutcome, DdlStep, Properties } from "../../model/mod.ts";
import type { FlowDependencies, RowSinkSetup } from "../dependencies.ts";
import { Mutex } from "../mutex.ts";
import type { SinkState } from "../state/mod.ts";
import { TargetNotes } from "./target_notes.ts";
import { whoseTarget } from "./whose.ts";

/** Databases that the target should have, by name. */
export function wantedDatabases(
  deps: Pick<FlowDependencies, "selects" | "selectsDatabase" | "route" | "routeDatabase">,
  catalog: Catalog,
): Map<string, { name: string; properties: Properties | undefined }> {
  const wanted = new Map<string, { name: string; properties: Properties | undefined }>();
  for (const { dbName, name } of catalog.collections) {
    // A single collection may be routed to a database that no database is.
    if (deps.selects(dbName, name)) {
      const { db } = deps.route(dbName, name);
      wanted.set(db, { name: db, properties: undefined });
    }
  }
  for (const { name, properties } of catalog.databases) {
    if (!deps.selectsDatabase(name)) continue;
    const target = deps.routeDatabase(name);
    wanted.set(target, { name: target, properties });
  }
  return wanted;
}

export interface DatabasesOptions {
  readonly deps: FlowDependencies;
  readonly setup: RowSinkSetup;
  readonly state: SinkState;
  /** Makes the state durable. */
  readonly save: () => Promise<void>;
  readonly changed: () => void;
  readonly refused: DdlOutcome[];
  readonly signal: AbortSignal;
}

export class Databases {
  readonly #o: DatabasesOptions;
  readonly #mutex = new Mutex();
  /** Names that databases of the catalog have on the target. */
  #wanted: ReadonlySet<string> = new Set();
  #live: ReadonlySet<bigint> = new Set();

  constructor(options: DatabasesOptions) {
    this.#o = options;
  }

  /** Creates and alters. The policy does not concern what is part of the first copy. */
  reconcile(catalog: Catalog): Promise<void> {
    return this.#mutex.run(async () => {
      const { deps, state, save } = this.#o;
      const initial = state.collections.size === 0 && state.databases.size === 0;
      const selected = catalog.databases.filter((item) => deps.selectsDatabase(item.name));
      const wanted = wantedDatabases(deps, catalog);
      this.#wanted = new Set(wanted.keys());
      this.#live = new Set(catalog.databases.map((item) => item.id));
      // Before they are made: after a crash in between, one that the source drops meanwhile is still known.
      const unknown = selected.some(({ id, name }) => state.databases.get(id) !== deps.routeDatabase(name));
      for (const { id, name } of selected) state.databases.set(id, deps.routeDatabase(name));
      if (unknown) await save();
      await this.#run([...wanted.values()], [], initial);
    });
  }

  /** Drops what the source dropped and what is empty by now; to be called again while something is left. */
  dropGone(): Promise<void> {
    const { state } = this.#o;
    if ([...state.databases.keys()].every((id) => this.#live.has(id))) return Promise.resolve();
    return this.#mutex.run(async () => {
      for (const [id, name] of [...state.databases]) {
        if (this.#live.has(id)) continue;
        // Made again, or its place is another's now.
        const kept = this.#wanted.has(name);
        const used = [...state.collections.values()].some((own) => own.phase !== "dropped" && own.target.db === name);
        if (used && !kept) continue;
        if (!kept) await this.#run([], [name], false);
        state.databases.delete(id);
        this.#o.changed();
      }
    });
  }

  async #run(
    wanted: readonly { readonly name: string; readonly properties: Properties | undefined }[],
    drop: readonly string[],
    initial: boolean,
  ): Promise<void> {
    const { deps, setup, state, refused, save, signal } = this.#o;
    const notes = new TargetNotes({ made: state.made, sink: setup.sink.name, report: deps.report, save });
    const allowed = (step: DdlStep) => initial || deps.ddl.decide(step) === "apply";
    const gate = (step: DdlStep) => notes.gate(step, allowed(step));
    for (const outcome of await setup.sink.reconcileDatabases(wanted, drop, whoseTarget(state), gate, signal)) {
      notes.settle(outcome);
      if (outcome.result === "refused") refused.push(outcome);
    }
  }
}
