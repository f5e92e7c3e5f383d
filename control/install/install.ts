/** `deno task install`: the command `tidemark` for this checkout. */
import { EXIT, TidemarkError } from "../../pipeline/errors.ts";
import type { Terminal } from "../terminal.ts";
import { chooseFolder, onPath } from "./folder.ts";
import { DENO_VERSION, isLauncher, launcherText } from "./launcher.ts";

const USAGE = `Installs the command tidemark, which runs this checkout with Deno ${DENO_VERSION}.

  deno task install [--to FOLDER]

  --to FOLDER   where the command goes; without it ~/.local/bin, ~/bin, ~/.deno/bin or /usr/local/bin,
                the first that is on PATH and may be written

Examples:
  npx -y deno@${DENO_VERSION} task install                # and then: tidemark --help
  npx -y deno@${DENO_VERSION} task install --to /opt/bin  # for everybody on this machine
`;

export interface InstallOptions {
  readonly args: readonly string[];
  /** Folder of the checkout, absolute, without a slash at its end. */
  readonly checkout: string;
  /** The running Deno and its version. */
  readonly deno: { readonly path: string; readonly version: string };
}

/**
 * Writes the launcher, runs it once, and says where it is. Returns the exit status.
 *
 * Throws `usage` for a wrong argument, `unsupported` under another Deno, `refused` where a program of that name is in the
 * way or the folder cannot be written.
 */
export async function install(terminal: Terminal, { args, checkout, deno }: InstallOptions): Promise<number> {
  if (args.includes("--help") || args.includes("-h")) {
    terminal.out(USAGE);
    return EXIT.ok;
  }
  if (args.length !== 0 && !(args.length === 2 && args[0] === "--to" && args[1]!.startsWith("/"))) {
    throw new TidemarkError("usage", `Expected nothing or --to and an absolute folder, got ${args.join(" ")}`, {
      hint: "deno task install --to /usr/local/bin",
    });
  }
  if (deno.version !== DENO_VERSION) {
    throw new TidemarkError("unsupported", `This is Deno ${deno.version}, expected ${DENO_VERSION}`, {
      hint: `Install with the Deno that Tidemark is tested with: npx -y deno@${DENO_VERSION} task install`,
    });
  }
  const path = terminal.env("PATH") ?? "";
  const { folder } = args.length === 2
    ? { folder: args[1]!.replace(/(?<=.)\/+$/, "") }
    : chooseFolder({ path, home: terminal.env("HOME") ?? "/root", writable });
  const file = `${folder}/tidemark`;
  write(file, folder, launcherText({ checkout, deno: deno.path }));
  const version = await firstStart(file);
  terminal.out(`tidemark ${version} is installed: ${file}\n`);
  terminal.out(`It runs ${checkout}/main.ts with Deno ${DENO_VERSION}. Remove that file to take it away.\n`);
  if (!onPath(path, folder)) {
    terminal.out(`${folder} is not on PATH: export PATH="${folder}:$PATH"\n`);
  }
  return EXIT.ok;
}

function write(file: string, folder: string, text: string): void {
  try {
    Deno.mkdirSync(folder, { recursive: true });
    const there = textOf(file);
    if (there !== undefined && !isLauncher(there)) {
      throw new TidemarkError("refused", `${file} is another program, not one that this task has made`, {
        hint: "Choose another folder with --to, or remove that program.",
      });
    }
    // Beside it and then in its place: a tidemark that is starting sees one of the two.
    const fresh = `${file}.${crypto.randomUUID()}`;
    Deno.writeTextFileSync(fresh, text, { mode: 0o755 });
    Deno.renameSync(fresh, file);
  } catch (thrown) {
    if (thrown instanceof TidemarkError) throw thrown;
    throw new TidemarkError("refused", `Cannot write ${file}: ${(thrown as Error).message}`, {
      hint: "Choose a folder that you may write with --to.",
      cause: thrown,
    });
  }
}

/** The text of a file, undefined where there is none. */
function textOf(file: string): string | undefined {
  try {
    return Deno.readTextFileSync(file);
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound) return undefined;
    throw thrown;
  }
}

function writable(folder: string): boolean {
  const probe = `${folder}/.tidemark-${crypto.randomUUID()}`;
  try {
    Deno.writeTextFileSync(probe, "");
    Deno.removeSync(probe);
    return true;
  } catch {
    return false;
  }
}

/** Runs the command for its version, which fetches what the program needs. */
async function firstStart(file: string): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(file, { args: ["--version"], stdin: "null" }).output();
  if (success) return new TextDecoder().decode(stdout).trim();
  throw new TidemarkError("unexpected", `${file} was written but does not start`, {
    hint: new TextDecoder().decode(stderr).trim(),
  });
}
