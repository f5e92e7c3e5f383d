import { patience } from "./patience.ts";
import type { ComponentName } from "./profile.ts";

/** How to know that a component answers. */
export type Ready =
  | { kind: "port"; port: number }
  /** The body of the answer must begin with `body`. */
  | { kind: "http"; url: string; body: string };

/** One process of the stack as plain data: it is written to the run folder, so that another process can start it again. */
export interface Component {
  name: ComponentName;
  command: string;
  args: string[];
  env: Record<string, string>;
  cwd: string;
  log: string;
  ready: Ready;
}

/** Whether the component answers now. */
export async function isReady(ready: Ready): Promise<boolean> {
  try {
    if (ready.kind === "port") {
      (await Deno.connect({ hostname: "127.0.0.1", port: ready.port })).close();
      return true;
    }
    const response = await fetch(ready.url, { signal: AbortSignal.timeout(2000 * patience()) });
    const body = await response.text();
    return response.ok && body.startsWith(ready.body);
  } catch {
    return false;
  }
}
