/** Which collections cannot be copied from a snapshot yet, each for itself: the others need not wait for them. */
import { TidemarkError } from "../errors.ts";
import type { Collection, Snapshot } from "../model/mod.ts";
import { makeCuts } from "./cut.ts";
import { importGate } from "./import_gate.ts";

export interface NotYet {
  /** `import`: it passes by itself when the import is done; `metadata`: what the metadata says of it cannot be used. */
  readonly kind: "import" | "metadata";
  /** A sentence for people, with what helps. */
  readonly reason: string;
}

/**
 * Of `collections`, by id, what keeps each from being copied; those that can be are not in it.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { FakeSource } from "../../tests/fakes/source.ts";
 * import { beginGate } from "./begin_gate.ts";
 *
 * const source = new FakeSource(["dml_0"]);
 * const [books, films] = [source.create("books", "dml_0"), source.create("films", "dml_0")];
 * const taken = await source.meta.snapshot(AbortSignal.timeout(1000));
 * const task = { id: 9n, collectionId: books.id, state: "persisted", segmentIds: [], rows: 1n } as const;
 * const gate = beginGate({ ...taken, imports: [task], unusable: new Map([[films.id, "torn"]]) }, [books, films]);
 * assert.deepEqual([gate.get(books.id)?.kind, gate.get(films.id)], ["import", { kind: "metadata", reason: "torn" }]);
 * ```
 */
export function beginGate(snapshot: Snapshot, collections: readonly Collection[]): Map<bigint, NotYet> {
  const found = new Map<bigint, NotYet>();
  for (const collection of collections) {
    const broken = brokenMetadata(snapshot, collection);
    if (broken !== undefined) {
      found.set(collection.id, { kind: "metadata", reason: broken });
      continue;
    }
    const [block] = importGate(snapshot, [collection]);
    if (block !== undefined) found.set(collection.id, { kind: "import", reason: block.detail });
  }
  return found;
}

function brokenMetadata(snapshot: Snapshot, collection: Collection): string | undefined {
  const unusable = snapshot.unusable?.get(collection.id);
  if (unusable !== undefined) return unusable;
  try {
    makeCuts(snapshot, [collection]);
    return undefined;
  } catch (thrown) {
    // What holds for every collection of the source is no matter of this one.
    if (!(thrown instanceof TidemarkError) || thrown.code === "unsupported") throw thrown;
    return thrown.hint === undefined ? thrown.message : `${thrown.message}. ${thrown.hint}`;
  }
}
