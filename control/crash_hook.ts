/**
 * For tests: `TIDEMARK_CRASH_AT=<point>[:<n>]` kills the process with SIGKILL when it passes the named phase for the n-th
 * time (default 1). Without the variable nothing happens.
 */
import { TidemarkError } from "../pipeline/errors.ts";
import { BACKUP_CRASH_POINTS, CRASH_POINTS, type CrashPoints, noCrashPoints } from "../pipeline/flow/crash_points.ts";

export function crashPointsFrom(value: string | undefined): CrashPoints {
  if (value === undefined || value === "") return noCrashPoints;
  const [name, times = "1"] = value.split(":");
  const points = [...CRASH_POINTS, ...BACKUP_CRASH_POINTS];
  const point = points.find((item) => item === name);
  if (point === undefined || !/^[1-9]\d*$/.test(times)) {
    throw new TidemarkError(
      "usage",
      `TIDEMARK_CRASH_AT is "${value}", expected <point> or <point>:<n> with a point of ${points.join(", ")}`,
    );
  }
  let left = BigInt(times);
  return (passed) => {
    if (passed !== point || --left !== 0n) return;
    Deno.stderr.writeSync(new TextEncoder().encode(`killed at ${point}\n`));
    Deno.kill(Deno.pid, "SIGKILL");
  };
}
