/** What the source's files of a collection are good for, before they are read. */
import { TidemarkError } from "../../errors.ts";
import { type Collection, type FileReport, qualifiedName, type Segment, type Snapshot } from "../../model/mod.ts";
import type { FlowDependencies } from "../dependencies.ts";
import { plural } from "../../units/mod.ts";

export interface CollectionFiles extends FileReport {
  /** vchannel of each segment that metadata knows, Dropped ones included. */
  readonly channelOfSegment: ReadonlyMap<bigint, string>;
}

/**
 * `segments`: those of which no file may be missing; `only`: those whose rows are wanted. Default: of all. Throws `damaged` where the metadata of the collection cannot be used, `unsupported`
 * for files that cannot be read, `not_found` for one that is not there as named.
 */
export async function filesOf(
  deps: Pick<FlowDependencies, "binlogs" | "report">,
  snapshot: Snapshot,
  collection: Collection,
  segments: readonly Segment[],
  signal: AbortSignal,
  only?: readonly Segment[],
): Promise<CollectionFiles> {
  const unusable = snapshot.unusable?.get(collection.id);
  if (unusable !== undefined) throw new TidemarkError("damaged", unusable);
  const all = snapshot.segments.filter((segment) => segment.collectionId === collection.id);
  const files = await deps.binlogs.verify(collection.id, all, signal, only && new Set(only.map(({ id }) => id)));
  const unreadable = files.findings.find(({ kind }) => kind === "unreadable");
  if (unreadable !== undefined) {
    throw new TidemarkError("unsupported", `${qualifiedName(collection)}: ${unreadable.detail}`, {
      hint: "Exclude the collection, or let the source write its segments in a form that can be read.",
    });
  }
  const wrong = files.findings.find((finding) =>
    (finding.kind === "missing" || finding.kind === "wrong_size") &&
    segments.some((segment) => segment.id === finding.segmentId)
  );
  if (wrong !== undefined) {
    throw new TidemarkError(
      "not_found",
      `Segment ${wrong.segmentId} of ${qualifiedName(collection)}: ${wrong.path}: ${wrong.detail}`,
      {
        hint:
          "The metadata names a file that the bucket does not have as named. Check sources.binlogs (bucket, root_path), or whether somebody deletes from the source's bucket.",
      },
    );
  }
  const dirty = files.findings.filter((finding) => finding.kind === "dirty_insert");
  if (dirty.length > 0) {
    deps.report.warn(
      `dirty ${collection.id}`,
      `${qualifiedName(collection)}: ${dirty.length} insert ${
        plural(dirty.length, "file")
      } in the bucket that the metadata does not name ${plural(dirty.length, "was", "were")} left out (see plan)`,
    );
  }
  return {
    ...files,
    channelOfSegment: new Map(
      all.filter(({ vchannel }) => vchannel !== "").map((segment) => [segment.id, segment.vchannel]),
    ),
  };
}
