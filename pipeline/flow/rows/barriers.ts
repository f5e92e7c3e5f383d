/**
 * What destroys rows in order arrives on every vchannel of its collection. It is applied once, after the last vchannel
 * reached it; until then the vchannels that did wait.
 */
import type { HybridTs } from "../../model/mod.ts";

interface Open {
  readonly ts: HybridTs;
  readonly members: ReadonlySet<string>;
  readonly arrived: Set<string>;
  readonly done: PromiseWithResolvers<void>;
  running: boolean;
}

/** Why nobody can wait for a change any more: not all its members will come. */
export type Unfinished = (key: string, missing: readonly string[], members: number) => Error;

export class Barriers {
  readonly #open = new Map<string, Open>();
  /** Change -> members on whose way it lies. */
  readonly #announced = new Map<string, Set<string>>();
  #unfinished: Unfinished | undefined;

  /**
   * `vchannel` reached the change `key` of timestamp `ts`. Resolves once `action` ran, which happens when the last of
   * `members` is there. Members for which `passed(member, ts)` holds started behind the change and are not waited for.
   */
  arrive(
    key: string,
    ts: HybridTs,
    vchannel: string,
    members: readonly string[],
    passed: (member: string, ts: HybridTs) => boolean,
    action: () => Promise<void>,
  ): Promise<void> {
    let open = this.#open.get(key);
    if (open === undefined) {
      const waitFor = new Set(members.filter((member) => member === vchannel || !passed(member, ts)));
      open = { ts, members: waitFor, arrived: new Set(), done: Promise.withResolvers<void>(), running: false };
      // Whoever waits handles it; with nobody waiting any more there is nobody to tell.
      open.done.promise.catch(() => {});
      this.#open.set(key, open);
    }
    open.arrived.add(vchannel);
    this.#giveUp(key, open);
    const complete = [...open.members].every((member) => open.arrived.has(member));
    if (complete && !open.running) {
      open.running = true;
      const { done } = open;
      action().then(done.resolve, done.reject).finally(() => {
        this.#open.delete(key);
        this.#announced.delete(key);
      });
    }
    return open.done.promise;
  }

  /** `vchannel` will reach the change `key`, if it is not held before. */
  announce(key: string, vchannel: string): void {
    const known = this.#announced.get(key);
    if (known === undefined) this.#announced.set(key, new Set([vchannel]));
    else known.add(vchannel);
  }

  /** It was done before: nobody waits for it any more. */
  forget(key: string): void {
    this.#announced.delete(key);
  }

  /**
   * Whether a change of a collection lies on the way of some of `members` and of others not yet: what comes to all of them now
   * would stand behind it for some and before it for others, and they would wait for each other for ever.
   */
  isHalfway(prefix: string, members: readonly string[]): boolean {
    return [...this.#announced].some(([key, known]) => {
      if (!key.startsWith(prefix)) return false;
      const wanted = this.#open.get(key)?.members ?? new Set(members);
      return !wanted.isSubsetOf(known);
    });
  }

  /** Nothing more will be announced: who waits for a change that does not lie on every member's way waits in vain. */
  end(unfinished: Unfinished): void {
    this.#unfinished = unfinished;
    for (const [key, open] of this.#open) this.#giveUp(key, open);
  }

  #giveUp(key: string, open: Open): void {
    const announced = this.#announced.get(key);
    if (this.#unfinished === undefined || announced === undefined || open.running) return;
    const missing = [...open.members].filter((member) => !announced.has(member));
    if (missing.length === 0) return;
    this.#open.delete(key);
    open.done.reject(this.#unfinished(key, missing, open.members.size));
  }

  /** Lets all who wait for changes of a collection go on, without the change. */
  abandon(prefix: string, error: Error): void {
    for (const [key, open] of this.#open) {
      if (!key.startsWith(prefix) || open.running) continue;
      this.#open.delete(key);
      open.done.reject(error);
    }
  }

  /** Lets all who wait for changes of a collection go on: what they waited for has been done otherwise. */
  release(prefix: string): void {
    for (const [key, open] of this.#open) {
      if (!key.startsWith(prefix) || open.running) continue;
      this.#open.delete(key);
      open.done.resolve();
    }
  }

  /** Members that wait for a change. */
  waitingAt(key: string): ReadonlySet<string> {
    return this.#open.get(key)?.arrived ?? new Set();
  }

  /** Members that a change still waits for; empty while it is done. */
  missingAt(key: string): string[] {
    const open = this.#open.get(key);
    return open === undefined ? [] : [...open.members].filter((member) => !open.arrived.has(member));
  }

  get waiting(): number {
    return this.#open.size;
  }
}
