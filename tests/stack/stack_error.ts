/** A failure of the test stack: a sentence a person can act on, with the path of the log that has the details. */
export class StackError extends Error {
  override name = "StackError";
}
