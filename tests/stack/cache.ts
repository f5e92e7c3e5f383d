import { StackError } from "./stack_error.ts";

/** Where installed software is kept between runs: `TIDEMARK_CACHE`, or `tidemark` below the user's cache folder. */
export function cacheRoot(): string {
  const named = Deno.env.get("TIDEMARK_CACHE");
  if (named) return named;
  const home = Deno.env.get("XDG_CACHE_HOME") || (Deno.env.get("HOME") ? `${Deno.env.get("HOME")}/.cache` : undefined);
  if (!home) {
    throw new StackError(
      "Neither TIDEMARK_CACHE, XDG_CACHE_HOME nor HOME is set: set one, the test stack is installed there",
    );
  }
  return `${home}/tidemark`;
}

/**
 * Fills `<cache>/<name>` once. A finished folder carries the marker `.ok` with `version` in it; a folder without it, or
 * of another version, is the rest of an interrupted install and is made anew. A lock file keeps two processes apart.
 */
export async function installOnce(
  name: string,
  version: string,
  fill: (dir: string) => Promise<void>,
): Promise<string> {
  const root = cacheRoot();
  const dir = `${root}/${name}`;
  if (await isInstalled(dir, version)) return dir;
  await Deno.mkdir(root, { recursive: true });
  using lock = await Deno.open(`${root}/${name}.lock`, { create: true, write: true });
  await lock.lock(true);
  if (await isInstalled(dir, version)) return dir;
  await Deno.remove(dir, { recursive: true }).catch(ignoreMissing);
  await Deno.mkdir(dir, { recursive: true });
  await fill(dir);
  await Deno.writeTextFile(`${dir}/.ok.new`, version);
  await Deno.rename(`${dir}/.ok.new`, `${dir}/.ok`);
  return dir;
}

async function isInstalled(dir: string, version: string): Promise<boolean> {
  try {
    return await Deno.readTextFile(`${dir}/.ok`) === version;
  } catch {
    return false;
  }
}

function ignoreMissing(thrown: unknown): void {
  if (!(thrown instanceof Deno.errors.NotFound)) throw thrown;
}
