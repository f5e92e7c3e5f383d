/** A lease of etcd, kept alive in the background. */
import { rest } from "../../pipeline/pause.ts";
import type { WireStream } from "./wire.ts";

interface KeepAlive {
  readonly ID: string;
  /** Seconds left, 0 when the lease is gone. */
  readonly TTL: string;
}

/** How a lease reaches etcd. */
export interface LeaseCalls {
  open(): Promise<WireStream<{ ID: string }, KeepAlive>>;
  revoke(id: bigint): Promise<void>;
}

/** Disposing revokes it: keys that hang on it are deleted at once. */
export class EtcdLease implements AsyncDisposable {
  readonly id: bigint;
  readonly #calls: LeaseCalls;
  readonly #lost = new AbortController();
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;

  /** Use `EtcdClient.lease`. */
  constructor(id: bigint, ttlSecs: number, calls: LeaseCalls) {
    this.id = id;
    this.#calls = calls;
    this.#running = this.#keep(ttlSecs * 1000);
  }

  /** Fires when the lease ended at etcd, or may have: nothing was heard for its whole time to live. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  async #keep(ttlMs: number): Promise<void> {
    let heard = performance.now();
    while (!this.#stop.signal.aborted && !this.#lost.signal.aborted) {
      await rest(ttlMs / 4, this.#stop.signal);
      if (this.#stop.signal.aborted) return;
      const asked = performance.now();
      const left = await this.#renew(Math.max(1, heard + ttlMs - asked));
      // Time counts from the asking: what etcd promised began then at the earliest.
      if (left === "alive") heard = asked;
      else if (left === "gone" || performance.now() - heard >= ttlMs) this.#lost.abort();
    }
  }

  /** One request on a stream of its own, so that a broken stream costs one round and another endpoint may take over. */
  async #renew(timeoutMs: number): Promise<"alive" | "gone" | "unknown"> {
    let stream: WireStream<{ ID: string }, KeepAlive> | undefined;
    const patience = setTimeout(() => stream?.cancel(), timeoutMs);
    const stop = (): void => stream?.cancel();
    this.#stop.signal.addEventListener("abort", stop, { once: true });
    try {
      stream = await this.#calls.open();
      stream.write({ ID: this.id.toString() });
      for await (const answer of stream) return answer.TTL === "0" ? "gone" : "alive";
      return "unknown";
    } catch {
      return "unknown";
    } finally {
      clearTimeout(patience);
      this.#stop.signal.removeEventListener("abort", stop);
    }
  }

  /** Ends the lease at etcd; where etcd does not answer it ends by itself after its time to live. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#stop.signal.aborted) return;
    this.#stop.abort();
    await this.#running;
    try {
      await this.#calls.revoke(this.id);
    } catch {
      return;
    }
  }
}
