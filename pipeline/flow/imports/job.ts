/** What the target's bulk import takes of a collection's base, and what it tells. */
import type { BulkImport, Collection, Cut, ImportStatus } from "../../model/mod.ts";
import type { CollectionState } from "../state/mod.ts";

export interface ImportJob {
  readonly collection: Collection;
  readonly own: CollectionState;
  readonly cuts: readonly Cut[];
  /** Of the target, where it may take segments whole. */
  readonly bulk: BulkImport | undefined;
}

export interface ImportProgress {
  written(rows: number, bytes: number): void;
  /** Bulk imports are so far; `rows` of those under way. */
  importing(imports: ImportStatus, rows: bigint): void;
  /** Makes the collection's state durable. */
  save(): Promise<void>;
}
