/** What releases of Milvus give by DumpMessages. */

/** The first of 2.6 that gives what transactions hold (milvus-io/milvus pull request 51102); 3.0 always did. */
const WHOLE_PATCH = 20;

/** `version` as GetVersion gives it. One without numbers is of a build of one's own, newer than all of these. */
export function leavesOutTransactions(version: string): boolean {
  const match = /(\d+)\.(\d+)\.(\d+)/.exec(version);
  return match !== null && match[1] === "2" && match[2] === "6" && parseInt(match[3]!) < WHOLE_PATCH;
}
