/** A run that follows a source that is written to, for tests that take servers away meanwhile. */
import type { RunStatus } from "../../../pipeline/model/mod.ts";
import { eventually } from "../../stack/eventually.ts";
import { assertSame } from "./comparison.ts";
import type { Servers } from "./servers.ts";
import type { Running, TidemarkSetup } from "./tidemark_process.ts";

/** Writes and deletes rows of `name` until it is stopped; what the source refuses meanwhile is written again. */
export function writeUntilStopped(servers: Servers, name: string): { stop(): Promise<number> } {
  let stopped = false;
  let written = 0;
  const writing = (async () => {
    for (let start = 0; !stopped; start += 40) {
      try {
        await servers.source.call("insert_generated", { name, start, count: 40, seed: start, upsert: true });
        if (start % 120 === 80) await servers.source.call("delete", { name, start: start - 20, count: 25 });
        written += 40;
      } catch {
        start -= 40;
      }
      await new Promise((resolve) => setTimeout(resolve, 40));
    }
  })();
  return {
    stop: async () => {
      stopped = true;
      await writing;
      return written;
    },
  };
}

/** Resolves when the run follows the log. */
export async function untilTail(setup: TidemarkSetup, run: Running): Promise<void> {
  await untilStatus(setup, run, "it follows the log", (status) => status.phase === "tail");
}

/** Polls the written status; fails at once where the process ends. */
export async function untilStatus(
  setup: TidemarkSetup,
  run: Running,
  what: string,
  test: (status: RunStatus) => boolean,
): Promise<RunStatus> {
  let last: RunStatus | undefined;
  await run.until(what, async () => {
    last = await setup.status();
    return last !== undefined && test(last);
  });
  return last!;
}

/** Whom the run waits for, and why. */
export function waitsFor(status: RunStatus, name: string): string | undefined {
  return status.sinks.find((item) => item.name === name && item.state === "waiting")?.reason;
}

/** Resolves when the target has what the source has; then compares everything. */
export async function untilSame(servers: Servers, name: string): Promise<void> {
  const { source, target } = servers;
  // The comparison says which rows differ.
  await eventually(`${name} has caught up`, async () => {
    const [a, b] = await Promise.all([source, target].map((server) => server.call("digest", { name })));
    return JSON.stringify(a) === JSON.stringify(b);
  }).catch(() => {});
  await assertSame({ server: source, name }, { server: target, name });
}
