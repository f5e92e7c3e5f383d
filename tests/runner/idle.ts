/** How much of a machine's time nobody used: a run that leaves much of it could use more lanes. */

/** What all processors together have done since the machine began, in the kernel's ticks. */
export interface ProcessorTimes {
  readonly idle: number;
  readonly all: number;
}

/** The first line of `/proc/stat`; `undefined` where there is none (other systems than Linux). */
export function processorTimes(): ProcessorTimes | undefined {
  try {
    return parseTimes(Deno.readTextFileSync("/proc/stat"));
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound) return undefined;
    throw thrown;
  }
}

/**
 * `cpu user nice system idle iowait irq softirq steal ...` (proc(5)); what waits for a disk is idle, too, and what a host
 * gives to others is not.
 */
export function parseTimes(stat: string): ProcessorTimes | undefined {
  const fields = /^cpu +(.*)$/m.exec(stat)?.[1]?.split(" ").slice(0, 8).map((field) => parseInt(field, 10)) ?? [];
  if (fields.length < 8 || fields.some(Number.isNaN)) return undefined;
  return { idle: fields[3]! + fields[4]!, all: fields.reduce((sum, ticks) => sum + ticks, 0) };
}

/** 0 to 1; `undefined` where nothing can be said. */
export function idleShare(before?: ProcessorTimes, after?: ProcessorTimes): number | undefined {
  if (before === undefined || after === undefined || after.all <= before.all) return undefined;
  return (after.idle - before.idle) / (after.all - before.all);
}
