/** The rows that the target should have at the compared moment. */
import type { LoggedRow, LogVisitor } from "./log.ts";
import type { RowDigest, View } from "./view.ts";
import { msOfHybrid } from "../../model/mod.ts";

/** Fills itself from a replay. Memory: a digest a row, and one more entry where rows have a time to live. */
export class ExpectedRows implements LogVisitor {
  /** `partition/key` -> digest. */
  readonly rows = new Map<string, bigint>();
  /** Rows that lie on the source where a query by their partition key does not look. */
  readonly misplaced = new Set<string>();
  /** Rows past their time to live that the source still has. */
  readonly expired = new Set<string>();
  readonly #expiresMs = new Map<string, number>();
  readonly #ttlMs: number | undefined;

  constructor(
    readonly wants: (key: bigint | string) => boolean,
    ttlMs: number | undefined,
    readonly view: View,
    readonly digestOf: (digest: RowDigest) => bigint,
  ) {
    this.#ttlMs = ttlMs;
  }

  insert({ name, ts, misplaced, digest }: LoggedRow): void {
    this.rows.set(name, digest());
    if (misplaced) this.misplaced.add(name);
    else this.misplaced.delete(name);
    if (this.#ttlMs !== undefined) this.#expiresMs.set(name, msOfHybrid(ts) + this.#ttlMs);
  }

  remove(name: string): void {
    this.rows.delete(name);
    this.misplaced.delete(name);
    this.#expiresMs.delete(name);
  }

  /** Takes out what is past its time to live at the compared moment: neither side need have it. */
  expire(momentMs: number): void {
    for (const [name, ms] of this.#expiresMs) {
      if (ms > momentMs) continue;
      this.remove(name);
      this.expired.add(name);
    }
  }

  /** Whether a row may have expired on the target by then. */
  mayBeGone(name: string, nowMs: number): boolean {
    return (this.#expiresMs.get(name) ?? Infinity) <= nowMs;
  }
}
