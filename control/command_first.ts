/** People write the options of a command before it, too: `tidemark --config pipeline.yaml run --once`. */

/** Options of any command that are followed by their value. */
const WITH_VALUE: ReadonlySet<string> = new Set(["-c", "--config", "--log-level"]);

/**
 * `args` with the command and the words right behind it (`backup show NAME`) in front of the options before it; unchanged
 * where the first word is none of `commands`.
 */
export function commandFirst(args: readonly string[], commands: readonly string[]): readonly string[] {
  let at = 0;
  while (at < args.length && args[at]!.startsWith("-")) at += WITH_VALUE.has(args[at]!) ? 2 : 1;
  if (at === 0 || at >= args.length || !commands.includes(args[at]!)) return args;
  let end = at;
  while (end < args.length && !args[end]!.startsWith("-")) end++;
  return [...args.slice(at, end), ...args.slice(0, at), ...args.slice(end)];
}
