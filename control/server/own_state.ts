import type { CheckedText } from "../../config/mod.ts";

/** Whether a configuration says itself where its run keeps its state. */
export function hasOwnState({ plain }: CheckedText): boolean {
  return (plain as { state?: unknown } | undefined)?.state !== undefined;
}
