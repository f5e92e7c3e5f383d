/** The command `tidemark`: a few lines of shell that start a checkout with the Deno that it was made for. */

/** The version that the checkout is tested with, and that every page names. */
export const DENO_VERSION = "2.9.6";

/** Second line of each launcher, by which one is told from a program of somebody else. */
export const MARK = "# The command of Tidemark, made by its `deno task install`.";

export interface LauncherOptions {
  /** Folder of the checkout, absolute. */
  readonly checkout: string;
  /** The Deno that ran the installation, absolute. Where it is gone, npx gets the same version. */
  readonly deno: string;
}

/**
 * A script for `sh`. It becomes the program instead of starting it, so that signals reach it; dependencies are the ones
 * of the checkout's `deno.lock`, or nothing starts.
 */
export function launcherText({ checkout, deno }: LauncherOptions): string {
  return `#!/bin/sh
${MARK}
deno=${quoted(deno)}
checkout=${quoted(checkout)}
if [ ! -f "$checkout/main.ts" ]; then
  echo "Error: Tidemark is not in $checkout any more. Run its task install again, where it is now." >&2
  exit 1
fi
set -- run -A --quiet --frozen --config "$checkout/deno.json" "$checkout/main.ts" "$@"
if [ -x "$deno" ]; then exec "$deno" "$@"; fi
exec npx -y deno@${DENO_VERSION} "$@"
`;
}

/** Whether a file of this text was made here and may be replaced. */
export function isLauncher(text: string): boolean {
  return text.split("\n", 2)[1] === MARK;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
