/** An answer of milvus-cdc that says no: the HTTP status is 200 all the same, the code stands in the body. */

/** 400: the request is wrong; 405: it is no POST; 500: it cannot be read, or a server cannot do what it asks. */
export type FailureCode = 400 | 405 | 500;

export class CdcFailure extends Error {
  readonly code: FailureCode;

  constructor(code: FailureCode, message: string) {
    super(message);
    this.code = code;
  }
}
