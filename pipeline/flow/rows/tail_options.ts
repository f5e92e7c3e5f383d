/** What the parts of a row sink's tail are given: lanes, writer, DDL and the catalog's side. */
import type { TidemarkError } from "../../errors.ts";
import type { TickGroup } from "../../model/mod.ts";
import type { FlowDependencies, RowSinkSetup } from "../dependencies.ts";
import type { SinkState } from "../state/mod.ts";
import type { Targets } from "./targets.ts";

export interface RowTailOptions {
  readonly deps: FlowDependencies;
  readonly setup: RowSinkSetup;
  readonly state: SinkState;
  readonly targets: Targets;
  readonly save: () => Promise<void>;
  /** A group is applied: give its credit back, note its position. */
  readonly acknowledged: (group: TickGroup) => void;
  readonly changed: () => void;
  readonly applied: (collectionId: bigint, inserted: number, deleted: number) => void;
  readonly blocked: (collection: string, error: TidemarkError) => void;
  readonly signal: AbortSignal;
}
