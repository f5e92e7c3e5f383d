import type { TidemarkError } from "../../errors.ts";

/**
 * Thrown where a bulk import cannot be gone on with. What it brought so far is worth nothing: the collection is begun anew on the
 * target. `stale`: nothing is wrong with importing, only with what an earlier run left behind.
 */
export class ImportTrouble extends Error {
  readonly error: TidemarkError;
  readonly stale: boolean;
  constructor(error: TidemarkError, stale = false) {
    super(error.message, { cause: error });
    this.name = "ImportTrouble";
    this.error = error;
    this.stale = stale;
  }
}
