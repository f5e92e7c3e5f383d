import type { TidemarkError } from "../../errors.ts";

/** Thrown when a collection must be held; the others go on. */
export class Held extends Error {
  readonly error: TidemarkError;
  constructor(error: TidemarkError) {
    super(error.message, { cause: error });
    this.name = "Held";
    this.error = error;
  }
}
