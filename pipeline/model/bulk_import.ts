/**
 * A target that takes whole files by its own means: Milvus' bulk import of the insert files of a backup. What is said here is
 * verified on 2.3.5: of the files below one path it takes the rows with ts <= the end, less those whose key the delta files
 * below a second path name with a ts that is larger than the row's and not larger than the end. All rows get one new ts.
 */
import type { DeleteMark } from "./column.ts";
import type { HybridTs } from "./hybrid.ts";
import type { TargetName, WantedCollection } from "./target.ts";
import type { ObjectStore } from "./store.ts";

export interface ImportRequest {
  readonly target: TargetName;
  readonly partition: string;
  /** As the target sees it: everything below is taken, `…/<segment>/<field>/<log>`. */
  readonly inserts: string;
  /** The same, `…/<segment>/<log>`; empty where no row is to be left out. */
  readonly deletes: string;
  /** Unix ms: rows and deletes with ts > endMs << 18 do not count. Undefined: all count. */
  readonly endMs: bigint | undefined;
}

export interface ImportState {
  readonly phase: "pending" | "running" | "completed" | "failed";
  /** Of 100, as the target estimates it. */
  readonly percent: number;
  /** Rows taken, once it is known. */
  readonly rows: bigint;
  /** The target's words where it failed. */
  readonly reason: string;
}

export interface BulkImport {
  /** `import`: whatever can be; `auto`: what is worth it, and rows where the target fails; `rows`: nothing, but one begun is ended. */
  readonly mode: "rows" | "import" | "auto";
  /** Under `auto`, a collection with less than this in files for each round of imports side by side is written by rows. */
  readonly worthBytes: bigint;
  /** How many imports the target works on side by side, at least 1: of 2.3, one a data node. */
  workers(signal: AbortSignal): Promise<number>;
  /** The target's own storage, for what it must find there. */
  readonly store: ObjectStore;
  /** Folder of `store`, with a slash at its end, in which files may lie for a while. */
  readonly scratch: string;
  /** The path by which the target knows a key, or a folder with a slash at its end, of `store`. */
  path(key: string): string;
  /** The key in `store` of another store's object, if that lies in the target's storage already. */
  within(source: ObjectStore, key: string): string | undefined;
  /**
   * Why this collection cannot be imported, as the rest of a sentence; undefined if it can. `made`: the target has it, so that
   * its fields can be compared.
   */
  obstacle(wanted: WantedCollection, made: boolean, signal: AbortSignal): Promise<string | undefined>;
  /** A delta file that the target reads. */
  encodeDeletes(
    marks: DeleteMark,
    of: { readonly collectionId: bigint; readonly partitionId: bigint; readonly segmentId: bigint },
    writtenAt: HybridTs,
  ): Uint8Array;
  /** Asks for an import and returns its number on the target. It goes on by itself. Throws `refused` with the target's words. */
  start(request: ImportRequest, signal: AbortSignal): Promise<bigint>;
  /** The number of the import that was asked for by this request, if the target knows one. */
  find(request: ImportRequest, signal: AbortSignal): Promise<bigint | undefined>;
  /** Of an import that the target does not know any more: failed. */
  state(task: bigint, signal: AbortSignal): Promise<ImportState>;
}
