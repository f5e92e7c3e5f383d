/**
 * The addresses of a running test stack. `deno task test` and `deno task stack up` write them to a file of KEY=VALUE lines
 * and name that file in `TIDEMARK_STACK_ENV`.
 */

/** Reads KEY=VALUE lines; empty lines and `#` comments are skipped. */
export function parseEnvFile(text: string): Record<string, string> {
  const env: Record<string, string> = {};
  for (const line of text.split("\n")) {
    const at = line.indexOf("=");
    if (at > 0 && !line.startsWith("#")) env[line.slice(0, at).trim()] = line.slice(at + 1).trim();
  }
  return env;
}

/** The environment of the running stack. Throws where none was named: an integration test never guesses an address. */
export function stackEnv(): Record<string, string> {
  const path = Deno.env.get("TIDEMARK_STACK_ENV");
  if (path === undefined || path === "") {
    throw new Error(
      "No test stack: TIDEMARK_STACK_ENV is not set. Run `deno task test`, or `deno task stack up` and export " +
        "TIDEMARK_STACK_ENV as it prints.",
    );
  }
  let text: string;
  try {
    text = Deno.readTextFileSync(path);
  } catch (cause) {
    throw new Error(`No test stack: TIDEMARK_STACK_ENV names ${path}, which cannot be read`, { cause });
  }
  return parseEnvFile(text);
}
