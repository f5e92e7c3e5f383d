/** Requests that get no answer: their clients would wait for ever. */

/**
 * Runs a request with a signal that fires where `signal` does, and where `ms` have passed before the promise is settled: with the
 * beginning of the answer, where its body is read afterwards. Throws a `TimeoutError` then, whatever the client makes of it.
 */
export async function withinAnswer<T>(
  signal: AbortSignal | undefined,
  ms: number,
  send: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const slow = new AbortController();
  const timer = setTimeout(() => slow.abort(new DOMException("No answer came", "TimeoutError")), ms);
  try {
    return await send(signal === undefined ? slow.signal : AbortSignal.any([slow.signal, signal]));
  } catch (thrown) {
    throw slow.signal.aborted && signal?.aborted !== true ? slow.signal.reason : thrown;
  } finally {
    clearTimeout(timer);
  }
}
