/** A topic's reader that gets no answers: said once, waited out, and said to be over once. */
import { pause } from "../../pipeline/pause.ts";
import { backoffDelay } from "./backoff.ts";

/** A topic's reader stopped getting answers, or gets them again. */
export interface LogState {
  readonly topic: string;
  readonly state: "up" | "down";
  /** Why it is down; empty when up. */
  readonly reason: string;
}

export interface TopicTailOptions {
  /** Called once per change of state, not per failed attempt. */
  readonly onState?: (state: LogState) => void;
  /** 0 to 1, for the jitter of back-off. */
  readonly random?: () => number;
  /** Waits between attempts; rejects when the signal fires. */
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
}

export class Outage {
  readonly #topic: string;
  readonly #options: TopicTailOptions;
  #down = false;

  constructor(topic: string, options: TopicTailOptions) {
    this.#topic = topic;
    this.#options = options;
  }

  over(): void {
    if (this.#down) this.#say(false, "");
  }

  /** Waits before the next attempt. `failures`: in a row before this one. Rejects with the signal's reason. */
  async wait(failures: number, reason: string, signal: AbortSignal): Promise<void> {
    const { random = Math.random, sleep = pause } = this.#options;
    // A single failure is normal: sessions end with every outage and heal with the next call, topics move to other brokers.
    if (failures > 0 && !this.#down) this.#say(true, reason);
    await sleep(backoffDelay(failures, random), signal);
  }

  #say(down: boolean, reason: string): void {
    this.#down = down;
    this.#options.onState?.({ topic: this.#topic, state: down ? "down" : "up", reason });
  }
}
