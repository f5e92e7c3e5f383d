/** A target that may die, or be slow, before and behind each request to it, or refuse what would change it. */
import { TidemarkError } from "../../../pipeline/errors.ts";
import type { DdlGate, RowSink } from "../../../pipeline/model/mod.ts";

/** Requests that change what it holds. */
const CHANGES = new Set<string>(
  ["write", "remove", "truncate", "dropCollection", "dropPartition"] satisfies (keyof RowSink)[],
);

export class Mortal {
  /** Nobody asks it for anything any more. */
  gone = false;
  /** What would change it is refused, so that all that is written to it is held. */
  refuses = false;
  /** Told before and behind each request. */
  passing: () => void = () => {};
  /** Awaited before each write. */
  beforeWrite: () => Promise<void> = () => Promise.resolve();

  /** `sink` with this life. */
  wrap<T extends RowSink>(sink: T): RowSink {
    return new Proxy<RowSink>(sink, {
      get: (of, name) => {
        const found = Reflect.get(of, name, of);
        if (typeof found !== "function" || name === "close") return found;
        if (name === "read") return found.bind(of);
        return async (...args: unknown[]) => {
          this.#pass();
          if (name === "write" || name === "remove") await this.beforeWrite();
          this.#check();
          if (this.refuses && CHANGES.has(String(name))) {
            throw new TidemarkError("refused", "The target takes nothing now");
          }
          const done = await found.apply(
            of,
            args.map((arg) => typeof arg === "function" ? this.#gate(arg as DdlGate) : arg),
          );
          this.#pass();
          return done;
        };
      },
    });
  }

  #gate(gate: DdlGate): DdlGate {
    return async (step) => {
      this.#pass();
      const answer = await gate(step);
      this.#check();
      return answer;
    };
  }

  #pass(): void {
    this.#check();
    this.passing();
    this.#check();
  }

  #check(): void {
    if (this.gone) throw new TidemarkError("aborted", "The run is dead");
  }
}
