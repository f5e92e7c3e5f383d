/** What a test's runner shows of failures that came one after the other. */

/**
 * Of a test that failed, and then could not be cleaned up after either, the runner shows a `SuppressedError` without the words
 * of the two. This is the first failure, with the words of the later ones behind its own.
 */
export function firstFailure(thrown: unknown): unknown {
  const later: string[] = [];
  let first = thrown;
  while (first instanceof SuppressedError) {
    later.unshift(first.error instanceof Error ? first.error.stack ?? first.error.message : String(first.error));
    first = first.suppressed;
  }
  if (later.length === 0 || !(first instanceof Error)) return first;
  const said = new Error(`${first.message}\nAnd while that was cleaned up after: ${later.join("\n")}`, {
    cause: first,
  });
  if (first.stack !== undefined) said.stack = `${said.message}\n${first.stack}`;
  return said;
}
