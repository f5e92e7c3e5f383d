/** Tries again what can succeed later (server away, server asks to slow down), for as long as the caller's signal lets it. */
import { TidemarkError, toTidemarkError } from "../../pipeline/errors.ts";

/** What status displays show of the connection to the target. */
export type SinkState =
  | { readonly kind: "ok" }
  /** `sinceMs`: unix ms of the first failure that has not been followed by a success of the same call. */
  | { readonly kind: "waiting"; readonly reason: string; readonly sinceMs: number };

export interface PatienceDeps {
  /** Unix ms. */
  readonly now: () => number;
  /** In [0, 1). */
  readonly random: () => number;
  /** Resolves after `ms`, rejects when the signal fires. */
  readonly pause: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly onState: (state: SinkState) => void;
}

export interface Patience {
  /**
   * Runs `attempt` until it resolves or fails with something that waiting does not mend. `tried` counts from 0;
   * `last` is the error of the attempt before. Throws `aborted` when the signal fires.
   */
  persist<T>(attempt: (tried: number, last: TidemarkError | undefined) => Promise<T>, signal: AbortSignal): Promise<T>;
}

/** A request under way for so long counts as waiting: a frozen server shows before its request times out. */
const SLOW_MS = 5_000;
const FIRST_MS = 100;
const LONGEST_MS = 10_000;
/** A quota is refilled every second or so: waiting longer than this leaves the target idle. */
const LONGEST_THROTTLED_MS = 3_000;

/** Length of the pause after the `tried`-th failure: exponential, the upper half of it random. */
export function backoffMs(tried: number, throttled: boolean, random: number): number {
  const ceiling = throttled ? LONGEST_THROTTLED_MS : LONGEST_MS;
  const full = Math.min(ceiling, FIRST_MS * 2 ** Math.min(tried, 20));
  return Math.round(full / 2 + (full / 2) * random);
}

export function createPatience(deps: PatienceDeps): Patience {
  const waiting = new Map<symbol, { readonly reason: string; readonly sinceMs: number }>();

  function waits(call: symbol, reason: string, sinceMs: number): void {
    waiting.set(call, { reason, sinceMs: waiting.get(call)?.sinceMs ?? sinceMs });
    report();
  }

  /** One attempt; says that the server does not answer while it takes long. */
  async function watched<T>(call: symbol, attempt: () => Promise<T>): Promise<T> {
    const began = deps.now();
    const slow = setTimeout(
      () => waits(call, `A request has had no answer for more than ${SLOW_MS / 1000} s`, began),
      SLOW_MS,
    );
    try {
      return await attempt();
    } finally {
      clearTimeout(slow);
    }
  }

  function report(): void {
    let oldest: { readonly reason: string; readonly sinceMs: number } | undefined;
    for (const entry of waiting.values()) {
      if (oldest === undefined || entry.sinceMs < oldest.sinceMs) oldest = entry;
    }
    deps.onState(oldest === undefined ? { kind: "ok" } : { kind: "waiting", ...oldest });
  }

  async function persist<T>(
    attempt: (tried: number, last: TidemarkError | undefined) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    const call = Symbol();
    let last: TidemarkError | undefined;
    try {
      for (let tried = 0;; tried++) {
        try {
          return await watched(call, () => attempt(tried, last));
        } catch (thrown) {
          const error = toTidemarkError(thrown);
          if (error.code !== "unreachable" && error.code !== "throttled") throw error;
          last = error;
          waits(call, error.message, deps.now());
          await deps.pause(backoffMs(tried, error.code === "throttled", deps.random()), signal);
        }
      }
    } finally {
      if (waiting.delete(call)) report();
    }
  }

  return { persist };
}

/** The real pause. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const stop = (): void => {
    clearTimeout(timer);
    reject(new TidemarkError("aborted", "Stopped by request", { cause: signal.reason }));
  };
  const timer = setTimeout(() => {
    signal.removeEventListener("abort", stop);
    resolve();
  }, ms);
  if (signal.aborted) stop();
  else signal.addEventListener("abort", stop, { once: true });
  return promise;
}
