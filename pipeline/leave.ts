/** The end of an iteration that is done by hand, with `next()`. */

/**
 * Lets the iterator clean up, at its end or before, and waits for it. What fails there is nobody's business: whoever leaves has
 * what was wanted, or fails already, and then the first failure is the one that says why. A `finally` that throws would hide it.
 */
export async function leave(iterator: { return?(value?: undefined): PromiseLike<unknown> }): Promise<void> {
  try {
    await iterator.return?.();
  } catch {
    // See above.
  }
}
