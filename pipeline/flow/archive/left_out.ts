/**
 * Collections that a base leaves out: the source's checkpoint lies before the log's beginning, the metadata of one cannot be
 * used, or a change has reached only some of its channels. Each waits for itself, named; the others are backed up, and the next
 * base takes it as soon as it can.
 */
import { type Collection, type Cut, qualifiedName, type Snapshot } from "../../model/mod.ts";
import { beginGate } from "../../transforms/mod.ts";
import type { OpenWait } from "../../waits.ts";
import type { FlowDependencies } from "../dependencies.ts";
import { untilSettled } from "../selection.ts";
import type { SinkState } from "../state/mod.ts";
import { staleCuts } from "../tail/mod.ts";

export interface LeftOutCollection {
  readonly id: bigint;
  readonly name: string;
  readonly component: "sources.meta" | "sources.log";
  readonly reason: string;
}

export class LeftOut implements Disposable {
  readonly #deps: Pick<FlowDependencies, "log" | "waits">;
  /** Whether the backup follows the log, and so needs that it reaches back to the cuts. */
  readonly #withLog: boolean;
  readonly #state: Pick<SinkState, "positions" | "vchannels">;
  readonly #entries = new Map<bigint, { readonly one: LeftOutCollection; readonly wait: OpenWait }>();

  constructor(
    deps: Pick<FlowDependencies, "log" | "waits">,
    state: Pick<SinkState, "positions" | "vchannels">,
    withLog: boolean,
  ) {
    this.#deps = deps;
    this.#state = state;
    this.#withLog = withLog;
  }

  get all(): readonly LeftOutCollection[] {
    return [...this.#entries.values()].map(({ one }) => one);
  }

  has(id: bigint): boolean {
    return this.#entries.has(id);
  }

  /** Those of `collections` that a base cannot take from this snapshot. `adopts`: it takes the archived log over. */
  async find(
    snapshot: Snapshot,
    collections: readonly Collection[],
    { adopts }: { readonly adopts: boolean },
    signal: AbortSignal,
  ): Promise<LeftOutCollection[]> {
    const found = new Map<bigint, Pick<LeftOutCollection, "component" | "reason">>();
    for (const [id, { kind, reason }] of beginGate(snapshot, collections)) {
      // A base waits for imports: they pass by themselves.
      if (kind === "metadata") found.set(id, { component: "sources.meta", reason });
    }
    // In the middle of it, what a channel behind its copy lacks no record of the archive would take from the others.
    for (const change of snapshot.unsettled ?? []) {
      found.set(change.collectionId, { component: "sources.meta", reason: untilSettled(change) });
    }
    if (this.#withLog) {
      const usable = collections.filter(({ id }) => !found.has(id));
      const kept = adopts ? this.#archived : undefined;
      for (const [id, reason] of await staleCuts(this.#deps.log, snapshot, usable, signal, kept)) {
        found.set(id, { component: "sources.log", reason });
      }
    }
    return collections.flatMap((collection) => {
      const why = found.get(collection.id);
      return why === undefined ? [] : [{ id: collection.id, name: qualifiedName(collection), ...why }];
    });
  }

  /** Whether the archive has all records behind a cut; where records were lost to it, the cuts before them are forgotten. */
  readonly #archived = ({ pchannel, offset }: Pick<Cut, "pchannel" | "offset">): boolean => {
    const { positions, vchannels } = this.#state;
    const reached = positions.get(pchannel)?.offset;
    if (reached === undefined || reached < offset) return false;
    return [...vchannels.values()].some((own) => own.pchannel === pchannel && own.offset <= offset);
  };

  /** What is still out, those that could be taken included until a base has them, and one of these. */
  async lookAgain(
    snapshot: Snapshot,
    live: readonly Collection[],
    signal: AbortSignal,
  ): Promise<{ readonly all: readonly LeftOutCollection[]; readonly ready: Collection | undefined }> {
    const waiting = live.filter(({ id }) => this.has(id));
    const found = await this.find(snapshot, waiting, { adopts: true }, signal);
    const still = new Map(found.map((one) => [one.id, one]));
    return {
      all: waiting.map(({ id }) => still.get(id) ?? this.#entries.get(id)!.one),
      ready: waiting.find(({ id }) => !still.has(id)),
    };
  }

  /** From now on these, and no others, are left out: shown until they are not. */
  set(all: readonly LeftOutCollection[]): void {
    const ids = new Set(all.map(({ id }) => id));
    for (const [id, { wait }] of this.#entries) {
      if (ids.has(id)) continue;
      wait[Symbol.dispose]();
      this.#entries.delete(id);
    }
    for (const one of all) {
      const known = this.#entries.get(one.id);
      known?.wait.say(one.reason);
      const wait = known?.wait ??
        this.#deps.waits.begin({ component: one.component, collection: one.name }, one.reason);
      this.#entries.set(one.id, { one, wait });
    }
  }

  [Symbol.dispose](): void {
    for (const { wait } of this.#entries.values()) wait[Symbol.dispose]();
    this.#entries.clear();
  }
}
