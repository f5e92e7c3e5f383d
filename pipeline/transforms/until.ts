/** Where a run ends. */
import type { HybridTs } from "../model/mod.ts";

/** `follow`: never by itself; `once`: when all that the log held at the start is applied; `until`: exactly at `ts`, inclusive. */
export type RunEnd =
  | { readonly kind: "follow" }
  | { readonly kind: "once" }
  | { readonly kind: "until"; readonly ts: HybridTs };
