/** Rows that a target does not take, put aside so that the rest goes on: kept in files that people can read. */
import type { HybridTs } from "./hybrid.ts";

export interface DeadLetter {
  readonly sink: string;
  readonly collectionId: bigint;
  /** `database.collection` on the source. */
  readonly collection: string;
  /** `database.collection` on the target. */
  readonly target: string;
  /** -1 where the key alone identifies a row. */
  readonly partitionId: bigint;
  readonly partition: string;
  readonly key: bigint | string;
  readonly ts: HybridTs;
  /** Where it was read: `pchannel@offset`, or segment and row. */
  readonly position: string;
  readonly reason: string;
  /** The row's columns, each a serialised schema.FieldData. */
  readonly fieldsData: readonly Uint8Array[];
}

export interface DeadLetters {
  /** For people. */
  readonly location: string;
  /** Durable when it resolves. Returns the name of the file that has them. */
  append(letters: readonly DeadLetter[]): Promise<string>;
  /** Names of all files, the oldest first. */
  files(): Promise<string[]>;
  /** All letters of a file. Throws `not_found`, `damaged`. */
  read(file: string): Promise<DeadLetter[]>;
}
