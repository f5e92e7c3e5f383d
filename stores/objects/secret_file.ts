/** Secrets and certificates that a configuration keeps in files of their own. */
import { TidemarkError } from "../../pipeline/errors.ts";

/** `value`, else what `file` holds, without white space at its ends. Throws `config` for a file that cannot be read. */
export async function readSecret(value: string | undefined, file: string | undefined): Promise<string | undefined> {
  return value ?? (await readText(file, "a *_file key"))?.trim();
}

export async function readText(file: string | undefined, key: string): Promise<string | undefined> {
  if (file === undefined) return undefined;
  try {
    return await Deno.readTextFile(file);
  } catch (cause) {
    throw new TidemarkError("config", `Cannot read the file ${file} that ${key} names`, {
      hint: "Create it, or give this process the right to read it.",
      cause,
    });
  }
}
