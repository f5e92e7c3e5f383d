/** TIDEMARK_LONG=1: random tests run with more seeds and more rounds. Every file runs without it too. */
const LONG = Deno.env.get("TIDEMARK_LONG") === "1";

/** The value of a variable if it is set; otherwise `long` with TIDEMARK_LONG=1 and `usual` without. */
export function setting(variable: string, usual: string, long: string): string {
  return Deno.env.get(variable) ?? (LONG ? long : usual);
}
