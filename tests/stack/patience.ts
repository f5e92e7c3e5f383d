/**
 * How long a wait may last. Tests wait for states, never for times: a limit is there only so that what hangs ends and says so,
 * and it is longer where everything takes longer.
 */

/** Takes the measured factor to processes that are started from here, so that a run measures once. */
export const PATIENCE_VARIABLE = "TIDEMARK_PATIENCE";

/** What has not moved for that long hangs; on a quiet machine, in seconds. */
const HUNG_SECS = 120;
/** Beyond it a machine is of no use. */
const MOST = 6;

/** How many times longer than on a quiet machine things may take here and now: 1 to 6. */
export function patience(): number {
  let measured = parseFloat(Deno.env.get(PATIENCE_VARIABLE) ?? "");
  if (!(measured >= 1)) {
    measured = slowness();
    Deno.env.set(PATIENCE_VARIABLE, measured.toFixed(2));
  }
  // The load changes as a run goes on: other lanes begin, others come to the machine.
  return Math.min(MOST, Math.max(1, measured, loadPerCore()));
}

/** Time after which something that has not moved counts as hung, in milliseconds. */
export function hungAfterMs(): number {
  return HUNG_SECS * 1000 * patience();
}

/** Processes that want a core, for each core that this process may use. */
export function loadPerCore(): number {
  return (Deno.loadavg()[0] ?? 0) / navigator.hardwareConcurrency;
}

const ROUNDS = 20_000_000;
/** What {@link ROUNDS} take on a quiet core of the machines that the limits were chosen on. */
const QUIET_MS = 55;

/** How many times longer than on a quiet core a piece of work takes now. Takes a third of a second where nothing else runs. */
function slowness(): number {
  const began = performance.now();
  const pieces = 6;
  let state = 1;
  for (let piece = 0; piece < pieces; piece++) state = work(state);
  const factor = (performance.now() - began) / (pieces * QUIET_MS);
  // The state is never 0; reading it keeps the work from being left out.
  return state === 0 ? 1 : Math.max(1, factor);
}

/** xorshift32 */
function work(state: number): number {
  for (let round = 0; round < ROUNDS; round++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
  }
  return state;
}
