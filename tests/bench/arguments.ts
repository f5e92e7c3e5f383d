/** Arguments of a figure: `--rows 200000`, `--small`. */

/** The number behind `--name`, else `normal`, or `small` where `--small` is given. */
export function numberArgument(name: string, normal: number, small: number): number {
  const at = Deno.args.indexOf(`--${name}`);
  if (at < 0) return Deno.args.includes("--small") ? small : normal;
  const text = Deno.args[at + 1] ?? "";
  const value = parseInt(text.replaceAll("_", ""), 10);
  if (!(value > 0)) throw new Error(`--${name} needs a number above 0, not "${text}"`);
  return value;
}

export function hasArgument(name: string): boolean {
  return Deno.args.includes(`--${name}`);
}
