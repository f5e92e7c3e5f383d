/** One line of `check`: something was tried, this came out. */
export interface CheckLine {
  /** What was looked at: `etcd etcd:2379`, `kafka retention`, … */
  readonly what: string;
  readonly ok: "ok" | "warn" | "fail";
  /** What was found, and how to mend it where it is not ok. */
  readonly detail: string;
  /** Set on `fail`: decides the exit status (authentication 12, otherwise 11). */
  readonly code?: import("../errors.ts").ErrorCode;
  /** Nothing is there at all: no fault of a source that has written no file yet. */
  readonly absent?: true;
}
