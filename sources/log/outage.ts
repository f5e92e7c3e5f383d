/** A topic's reader that gets no answers: said, waited out, and said to be over once. */
import { pause } from "../../pipeline/pause.ts";
import { backoffDelay } from "./backoff.ts";

/** A topic's reader stopped getting answers, gets none for another reason than before, or gets them again. */
export interface LogState {
  readonly topic: string;
  readonly state: "up" | "down";
  /** Why it is down; empty when up. */
  readonly reason: string;
}

export interface TopicTailOptions {
  /** Called once per change of state or reason, not per failed attempt. */
  readonly onState?: (state: LogState) => void;
  /** 0 to 1, for the jitter of back-off. */
  readonly random?: () => number;
  /** Waits between attempts; rejects when the signal fires. */
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
}

export class Outage {
  readonly #topic: string;
  readonly #options: TopicTailOptions;
  /** Why it is down; undefined: it is up. */
  #reason: string | undefined;

  constructor(topic: string, options: TopicTailOptions) {
    this.#topic = topic;
    this.#options = options;
  }

  over(): void {
    if (this.#reason !== undefined) this.#say(undefined);
  }

  /** Waits before the next attempt. `failures`: in a row before this one. Rejects with the signal's reason. */
  async wait(failures: number, reason: string, signal: AbortSignal): Promise<void> {
    const { random = Math.random, sleep = pause } = this.#options;
    // A single failure is normal: sessions end with every outage and heal with the next call, topics move to other brokers.
    // A broker that is back may still be in the way, by something else.
    if (failures > 0 && this.#reason !== reason) this.#say(reason);
    await sleep(backoffDelay(failures, random), signal);
  }

  #say(reason: string | undefined): void {
    this.#reason = reason;
    const state = reason === undefined ? "up" : "down";
    this.#options.onState?.({ topic: this.#topic, state, reason: reason ?? "" });
  }
}
