/** A text file that is named on the command line; `-` is stdin. */
import { TidemarkError } from "../pipeline/errors.ts";

/** Throws `usage` for a file that cannot be read. */
export async function readInput(path: string): Promise<string> {
  try {
    return path === "-" ? await new Response(Deno.stdin.readable).text() : await Deno.readTextFile(path);
  } catch (cause) {
    throw new TidemarkError("usage", `The file ${path} cannot be read`, {
      hint: "Give a file of records, one JSON object a line, or - for stdin.",
      cause,
    });
  }
}
