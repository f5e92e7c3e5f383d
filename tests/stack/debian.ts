/** Programs that come from the distribution, because no package registry has a release of them. */
import { cacheRoot, installOnce } from "./cache.ts";
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

/**
 * A file of a package, without installing it: packages of servers start them. Returns where it is.
 *
 * @example
 * const promtool = await debianFile("prometheus", "usr/bin/promtool");
 */
export async function debianFile(name: string, path: string): Promise<string> {
  const dir = await installOnce(`${name}-deb`, "", async (dir) => {
    const run = (purpose: string, command: string, args: readonly string[]) =>
      runCommand(command, args, {
        purpose,
        log: `${dir}.log`,
        cwd: dir,
        missing: "This needs Debian's apt-get and dpkg-deb.",
      });
    const download = () => run(`Fetching ${name}`, "apt-get", ["-qq", "download", name]);
    try {
      await download();
    } catch {
      await run("Updating the package lists (as root)", "apt-get", ["-qq", "update"]);
      await download();
    }
    for await (const file of Deno.readDir(dir)) await run(`Unpacking ${name}`, "dpkg-deb", ["-x", file.name, "."]);
  });
  return `${dir}/${path}`;
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
