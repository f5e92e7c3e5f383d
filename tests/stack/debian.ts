/** Programs that come from the distribution, because no package registry has a release of them. */
import { cacheRoot } from "./cache.ts";
import { runCommand } from "./command.ts";

export interface DebianOptions {
  readonly log?: (line: string) => void;
  readonly signal?: AbortSignal;
}

/** Installs the packages where one of the programs is missing, as root by apt-get. */
export async function installDebian(
  programs: readonly string[],
  packages: readonly string[],
  { log = () => {}, signal }: DebianOptions = {},
): Promise<void> {
  if (await areOnPath(programs)) return;
  const root = cacheRoot();
  await Deno.mkdir(root, { recursive: true });
  // apt-get does not wait for another one that updates its lists.
  using lock = await Deno.open(`${root}/apt.lock`, { create: true, write: true });
  await lock.lock(true);
  if (await areOnPath(programs)) return;
  const apt = (purpose: string, args: readonly string[]) =>
    runCommand("apt-get", ["-qq", "-y", "-o", "DPkg::Lock::Timeout=300", ...args], {
      purpose,
      log: `${root}/${packages[0]}-apt.log`,
      missing: `Install ${packages.join(", ")} yourself and put ${programs.join(", ")} on PATH.`,
      env: { DEBIAN_FRONTEND: "noninteractive" },
      ...(signal === undefined ? {} : { signal }),
    });
  const install = ["install", "--no-install-recommends", ...packages];
  log(`install ${packages.join(", ")} (apt)`);
  try {
    await apt(`Installing ${packages[0]}`, install);
  } catch {
    signal?.throwIfAborted();
    await apt("Updating the package lists", ["update"]);
    await apt(`Installing ${packages[0]} (as root, by apt-get)`, install);
  }
}

async function areOnPath(programs: readonly string[]): Promise<boolean> {
  const found = await Promise.all(programs.map(isOnPath));
  return found.every((one) => one);
}

async function isOnPath(program: string): Promise<boolean> {
  for (const folder of (Deno.env.get("PATH") ?? "").split(":")) {
    if (await Deno.stat(`${folder}/${program}`).then((found) => found.isFile, () => false)) return true;
  }
  return false;
}
