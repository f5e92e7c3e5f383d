/** Moments of a server's life at which tests kill it. */
import { TidemarkError } from "../../pipeline/errors.ts";

export const SERVER_CRASH_POINTS = ["accepted", "stored", "stopped", "state_deleted"] as const;
export type ServerCrashPoint = typeof SERVER_CRASH_POINTS[number];

/** `value`: of TIDEMARK_SERVER_CRASH_AT. Throws `usage` for a name that is none. */
export function serverCrashPoint(value: string | undefined): (passed: ServerCrashPoint) => void {
  if (value === undefined || value === "") return () => {};
  const point = SERVER_CRASH_POINTS.find((name) => name === value);
  if (point === undefined) {
    throw new TidemarkError(
      "usage",
      `TIDEMARK_SERVER_CRASH_AT is "${value}", expected one of ${SERVER_CRASH_POINTS.join(", ")}`,
    );
  }
  return (passed) => {
    if (passed === point) Deno.kill(Deno.pid, "SIGKILL");
  };
}
