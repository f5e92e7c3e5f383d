/** Secrets are write-only: what comes back masked keeps the secret that is stored. */
import { MASK } from "../../config/mod.ts";
import type { FaultProblem } from "./fault.ts";

/** The configuration `text` with each mask replaced by what the former one has at the same place. No JSON stays as it is. */
export function keepSecrets(text: string, former: unknown): string {
  if (!text.includes(MASK)) return text;
  try {
    return JSON.stringify(merged(JSON.parse(text), former), null, 1);
  } catch {
    return text;
  }
}

function merged(value: unknown, former: unknown): unknown {
  if (value === MASK) return typeof former === "string" ? former : value;
  if (Array.isArray(value)) {
    return value.map((item, at) => merged(item, Array.isArray(former) ? former[at] : undefined));
  }
  if (value === null || typeof value !== "object") return value;
  const before = former !== null && typeof former === "object" ? former as Record<string, unknown> : {};
  return Object.fromEntries(
    Object.entries(value).map((
      [key, item],
    ) => [key, merged(item, Object.hasOwn(before, key) ? before[key] : undefined)]),
  );
}

/** A mask is no secret: whoever copied one from an answer is told, before a login fails. */
export function maskProblems(value: unknown, pointer = ""): FaultProblem[] {
  if (value === MASK) return [{ pointer, message: `${MASK} stands in the place of a secret: give the secret itself` }];
  if (value === null || typeof value !== "object") return [];
  return Object.entries(value).flatMap(([key, item]) => maskProblems(item, `${pointer}/${key}`));
}
