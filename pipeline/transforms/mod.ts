/** Transforms: pure decisions about what is base, what is tail, what is carried and under which name. */
export {
  agree,
  agreedCollection,
  type AgreedRows,
  agreedRows,
  type Agreement,
  readSchema,
  type UnsupportedPolicy,
} from "./agreed_columns.ts";
export { forgottenSegment } from "./lineage.ts";
export { planStep, type StepPlan, type StepStart } from "./step.ts";
export { beginGate, type NotYet } from "./begin_gate.ts";
export { completeColumns } from "./complete_columns.ts";
export { deleteHorizon, firstExactTs, liveSegments, makeCuts } from "./cut.ts";
export { divideSegment, type Division, type DivisionOptions, type KeyedRows } from "./import_division.ts";
export { type ImportBlock, importGate } from "./import_gate.ts";
export { importedAt, importedSegments, importsInBase, startOfImport } from "./imported.ts";
export { Lineage } from "./segment_lineage.ts";
export {
  type DeadCounts,
  DeadRows,
  type DeadRowsOptions,
  type DeadSegment,
  partsFor,
  type Removal,
} from "./dead_rows.ts";
export {
  type FoldedBatch,
  type FoldedRemove,
  type FoldedWrite,
  foldEvents,
  type FoldTarget,
  keyConflict,
} from "./fold.ts";
export { globProblem } from "./glob.ts";
export { homePartition, shardOf } from "./partition_hash.ts";
export { timeToLive } from "./time_to_live.ts";
export { makeSelector, type Selector } from "./select.ts";
export { makeRouter, type RouteCollision, routeProblem, type Router, type RouteRule } from "./route.ts";
export { type DdlPolicy, type DdlPolicyOptions, type DdlPolicyRules, makeDdlRules } from "./ddl_policy.ts";
export { earliestRowTs, latestRowTs, latestTs } from "./time_range.ts";
export { type Change, type Consent, type Owner, OWNERSHIP, verdictOf } from "./ownership.ts";
export type { RunEnd } from "./until.ts";
export { type PredicateText, predicateText } from "./predicate.ts";
export { predicateFilter } from "./predicate_filter.ts";
