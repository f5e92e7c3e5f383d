/**
 * For tests: `TIDEMARK_CRASH_AT=<point>[:<n>[:pause]]` kills the process with SIGKILL when it passes the named phase for the
 * n-th time (default 1). With `pause` it is stopped there instead (SIGSTOP), until somebody sends SIGCONT: time for the
 * world to change under it. Without the variable nothing happens.
 */
import { TidemarkError } from "../pipeline/errors.ts";
import {
  BACKUP_CRASH_POINTS,
  CRASH_POINTS,
  type CrashPoints,
  noCrashPoints,
  ROW_SINK_CRASH_POINTS,
  STEP_CRASH_POINTS,
} from "../pipeline/flow/state/crash_points.ts";

export function crashPointsFrom(value: string | undefined): CrashPoints {
  if (value === undefined || value === "") return noCrashPoints;
  const [name, times = "1", how = "kill", ...more] = value.split(":");
  const points = [...CRASH_POINTS, ...BACKUP_CRASH_POINTS, ...ROW_SINK_CRASH_POINTS, ...STEP_CRASH_POINTS];
  const point = points.find((item) => item === name);
  if (point === undefined || !/^[1-9]\d*$/.test(times) || (how !== "kill" && how !== "pause") || more.length > 0) {
    throw new TidemarkError(
      "usage",
      `TIDEMARK_CRASH_AT is "${value}", expected <point>, <point>:<n> or <point>:<n>:pause with a point of ${
        points.join(", ")
      }`,
    );
  }
  let left = BigInt(times);
  return (passed) => {
    if (passed !== point || --left !== 0n) return;
    Deno.stderr.writeSync(new TextEncoder().encode(`${how === "kill" ? "killed" : "paused"} at ${point}\n`));
    Deno.kill(Deno.pid, how === "kill" ? "SIGKILL" : "SIGSTOP");
  };
}
