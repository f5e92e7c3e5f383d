import { hungAfterMs } from "./patience.ts";

export interface WaitOptions {
  /** What moves meanwhile, as text: as long as it changes, nothing hangs. Also what an error says of the last progress. */
  readonly progress?: () => Promise<string> | string;
  /** More for the messages, such as the last lines of a log. */
  readonly details?: () => string;
  readonly everyMs?: number;
  /** Default: {@link hungAfterMs}. */
  readonly hungMs?: () => number;
}

/** A long wait says so that often, so that also a file that is ended from outside has said what it waited for. */
const TELL_MS = 60_000;

/**
 * Polls until `test` holds; what it throws counts as "not yet". There is no time within which it must hold: it fails with
 * `what`, the last progress and the last error when nothing has moved for as long as only something that hangs takes.
 */
export async function eventually(
  what: string,
  test: () => Promise<boolean> | boolean,
  { progress, details, everyMs = 100, hungMs = hungAfterMs }: WaitOptions = {},
): Promise<void> {
  const began = performance.now();
  let moved = began;
  let told = began;
  let last = "";
  let failure: unknown;
  const state = () => {
    const parts = [`for ${Math.round((performance.now() - began) / 1000)} s: ${what}`];
    if (last !== "") parts.push(`The last progress: ${last}`);
    if (failure !== undefined) parts.push(`The last error: ${failure instanceof Error ? failure.message : failure}`);
    return `${parts.join(". ")}${details === undefined ? "" : `\n${details()}`}`;
  };
  const hung = Promise.withResolvers<false>();
  const watch = setInterval(() => {
    const now = performance.now();
    if (now - moved > hungMs()) hung.reject(new Error(`It hangs. Waited ${state()}`));
    if (now - told < TELL_MS) return;
    told = now;
    console.error(`       still waits ${state()}`);
  }, 1000);
  const attempt = async () => {
    try {
      const held = await test();
      failure = undefined;
      if (held) return true;
    } catch (error) {
      failure = error;
    }
    const seen = await progress?.() ?? "";
    if (seen !== last) moved = performance.now();
    last = seen;
    await new Promise((resolve) => setTimeout(resolve, everyMs));
    return false;
  };
  // One that comes when nobody waits any more is nobody's.
  hung.promise.catch(() => {});
  try {
    while (!await Promise.race([attempt(), hung.promise]));
  } finally {
    clearInterval(watch);
  }
}
