/** A stream that is uploaded: what its source throws is no error of the service, and is told apart from those. */
export interface GuardedStream {
  readonly body: AsyncIterable<Uint8Array>;
  /** Throws what the source has thrown, if it has and the upload was not stopped. */
  throwIfBroken(signal: AbortSignal | undefined): void;
}

export function guardedStream(source: AsyncIterable<Uint8Array>): GuardedStream {
  let broken: { readonly thrown: unknown } | undefined;
  let begun = false;
  const guarded = async function* () {
    // It would look empty, and an empty object would be written in the place of its own.
    if (begun) throw new TypeError("A stream that is used up was begun again");
    begun = true;
    let given = false;
    try {
      for await (const chunk of source) {
        given = true;
        yield chunk;
        given = false;
      }
    } catch (thrown) {
      // An upload that has left is not told what fails in the source's cleaning up: it has a reason of its own.
      if (!given) broken = { thrown };
      throw thrown;
    }
  };
  return {
    body: { [Symbol.asyncIterator]: guarded },
    throwIfBroken(signal) {
      if (broken !== undefined && signal?.aborted !== true) throw broken.thrown;
    },
  };
}
