/** The state in memory, for tests. Stores made from one {@link StateMemory} compete for one lease, as two processes would. */
import type { LeaseHolder, StateStore } from "../../pipeline/model/mod.ts";
import { lockedError, lostError, thisProcess } from "./locked.ts";

export interface StateMemory {
  text: string | undefined;
  holder: { readonly who: LeaseHolder; readonly lost: AbortController } | undefined;
}

export function createStateMemory(text?: string): StateMemory {
  return { text, holder: undefined };
}

export function createMemoryStateStore(memory: StateMemory = createStateMemory()): StateStore {
  const location = "memory";
  let mine: StateMemory["holder"];
  return {
    location,
    lock: (signal) => {
      signal.throwIfAborted();
      if (memory.holder !== undefined) {
        return Promise.reject(lockedError(location, memory.holder.who, "Stop the other run."));
      }
      const taken = { who: thisProcess(new Date()), lost: new AbortController() };
      memory.holder = mine = taken;
      return Promise.resolve({
        lost: taken.lost.signal,
        [Symbol.asyncDispose]: () => {
          if (memory.holder === taken) memory.holder = undefined;
          return Promise.resolve();
        },
      });
    },
    read: () => Promise.resolve(memory.text),
    write: (text, signal) => {
      signal?.throwIfAborted();
      if (mine === undefined || memory.holder !== mine) {
        return Promise.reject(lostError(location, "it was never taken, or was taken away"));
      }
      memory.text = text;
      return Promise.resolve();
    },
    remove: (signal) => {
      signal?.throwIfAborted();
      if (mine === undefined || memory.holder !== mine) {
        return Promise.reject(lostError(location, "it was never taken, or was taken away"));
      }
      memory.text = undefined;
      return Promise.resolve();
    },
    close: () => {
      if (mine !== undefined && memory.holder === mine) memory.holder = undefined;
      mine = undefined;
      return Promise.resolve();
    },
  };
}

/** Takes the lease away from whoever holds it, as an expired lease or a partition of the network would. */
export function loseLease(memory: StateMemory): void {
  memory.holder?.lost.abort(lostError("memory", "it expired"));
  memory.holder = undefined;
}
