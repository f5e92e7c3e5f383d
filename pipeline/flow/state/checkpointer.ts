/**
 * Writes the run's state: soon after it changed, never two writes at once, at once where the flow asks for it. What is
 * written is what the state is at that moment, so every acknowledgement before it is covered.
 */
import type { StateStore } from "../../model/mod.ts";
import { RememberedTexts } from "./remembered_texts.ts";
import type { RunState } from "./run_state.ts";
import { formatRunState } from "./run_state_text.ts";

export interface CheckpointerOptions {
  /** Longest time between a change and its write, ms. */
  readonly intervalMs: number;
  readonly now: () => Date;
  /** Refreshes `state.status` before it is written. */
  readonly beforeWrite: () => void;
  /** Runs each write, so that a slow one can be shown. Default: as it is. */
  readonly during?: (write: () => Promise<void>) => Promise<void>;
  /** Called with an error of a background write; the flow ends with it. */
  readonly onError: (error: unknown) => void;
}

export class Checkpointer {
  readonly #state: RunState;
  readonly #store: StateStore;
  readonly #options: CheckpointerOptions;
  readonly #texts = new RememberedTexts();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #writing: Promise<void> | undefined;
  #dirty = false;
  #closed = false;

  constructor(state: RunState, store: StateStore, options: CheckpointerOptions) {
    this.#state = state;
    this.#store = store;
    this.#options = options;
  }

  /** The state changed; it will be written within the interval. */
  touch(): void {
    this.#dirty = true;
    if (this.#timer !== undefined || this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.save().catch(this.#options.onError);
    }, this.#options.intervalMs);
  }

  /** Resolves when the state as of this call is durable. */
  async save(): Promise<void> {
    this.#dirty = true;
    // A write under way may hold an older state: wait for it, then write once for all who wait.
    while (this.#writing !== undefined) await this.#writing;
    if (!this.#dirty) return;
    this.#dirty = false;
    this.#options.beforeWrite();
    this.#state.savedAt = this.#options.now().toISOString();
    const { during = (write) => write() } = this.#options;
    const text = formatRunState(this.#state, this.#texts);
    const writing = during(() => this.#store.write(text));
    this.#writing = writing.finally(() => {
      this.#writing = undefined;
    });
    try {
      await this.#writing;
    } catch (error) {
      this.#dirty = true;
      throw error;
    }
  }

  /** Writes what is left and stops the timer. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.save();
  }
}
