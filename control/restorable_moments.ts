/** The moments to which a backup can be restored, in words. */
import type { Restorable } from "../sources/backup/mod.ts";
import { count } from "./render_status.ts";
import { plural } from "../pipeline/units/mod.ts";

/** `any moment from … to …`, and that there are gaps; without a range `nothing`. */
export function restorableMoments(restorable: Restorable | undefined, nothing: string): string {
  if (restorable === undefined) return nothing;
  const { from, to, gaps: [gap, ...others] } = restorable;
  const range = `any moment from ${from.iso} to ${to.iso}`;
  if (gap === undefined) return range;
  const rest = others.length === 0 ? "" : `, and ${count(others.length)} more ${plural(others.length, "gap")}`;
  return `${range}, except ${gap.from.iso} to ${gap.to.iso}${rest}`;
}

/** One line for each gap: what it is due to. */
export function restorableGaps(restorable: Restorable | undefined): string[] {
  return (restorable?.gaps ?? []).map(({ from, to, collections }) => {
    const they = plural(collections.length, "it is", "they are");
    const why = `the log of ${collections.join(", ")} ends before it, and only behind it ${they} known to be dropped`;
    return `gap      ${from.iso} to ${to.iso}: ${why}`;
  });
}
