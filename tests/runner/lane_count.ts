import { loadPerCore } from "../stack/patience.ts";
import { idleShare, processorTimes } from "./idle.ts";

/** What a machine has to give. */
export interface Capacity {
  /** Cores that this process may use. */
  readonly cores: number;
  /** Processes that want a core, for each core, before the run adds its own. */
  readonly load: number;
  /** Memory that is free, in bytes. */
  readonly memory: number;
}

/** More of them wait for each other's disk and for one who looks at their output. */
const MOST = 4;
/** What a stack and the test on it take, at their largest. */
const BYTES_PER_LANE = 2 * 1024 ** 3;

/**
 * How many stacks are of use side by side: three for two cores, since with one a core a third of the time passes with waiting
 * for servers that wait themselves; half a core's worth each where others are at work on all cores already; and no more than
 * the memory holds.
 */
export function laneCount({ cores, load, memory }: Capacity): number {
  const byCores = load >= 1 ? cores / 2 : cores * 1.5;
  return Math.max(1, Math.min(MOST, Math.floor(byCores), Math.floor(memory / BYTES_PER_LANE)));
}

/** Takes a second: the system's load is that of the last minute, in which this run was perhaps fetched and unpacked. */
export async function capacity(): Promise<Capacity> {
  const before = processorTimes();
  await new Promise((resolve) => setTimeout(resolve, 1000));
  return {
    cores: navigator.hardwareConcurrency,
    load: loadNow(loadPerCore(), idleShare(before, processorTimes())),
    memory: Deno.systemMemoryInfo().available,
  };
}

/** `load`: a core's, over a minute, which is no news where the processors are idle by now for more than a quarter of the time. */
export function loadNow(load: number, idle: number | undefined): number {
  return idle === undefined || idle <= 0.25 ? load : Math.min(load, 1 - idle);
}
