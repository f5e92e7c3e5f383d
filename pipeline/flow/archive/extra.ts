/** What the state keeps of an archive sink beyond positions. */
import type { Json } from "../../json.ts";
import type { LeftOutCollection } from "./left_out.ts";

export interface ArchiveExtra {
  /** The backup being written. */
  name: string | undefined;
  /** The one before it, whose unchanged files a new base may share. */
  previous: string | undefined;
  /** The next one, whose base is being copied while the log of `name` goes on. */
  next: string | undefined;
  complete: boolean;
  /** Imports whose rows the base holds. */
  imports: bigint[];
  /** Segments that imports filled and whose rows it holds; undefined: of a version that did not note them. */
  importSegments: bigint[] | undefined;
  /**
   * pchannel -> the topic whose records are archived. The run's own memory follows the row sinks to a topic made anew. The same
   * object as in the state, where it is kept up by {@link noteTopic}.
   */
  topics: Record<string, string>;
  /** What the base leaves out although it is selected. */
  left: readonly LeftOutCollection[];
}

/** As it stands in the state; `undefined` for a sink that never ran. */
export function archiveExtra(kept: Json | undefined): ArchiveExtra {
  const { name, previous, next, complete, imports, importSegments, topics, left } = (kept ?? {}) as {
    [K in keyof ArchiveExtra]?: ArchiveExtra[K] | null;
  };
  return {
    name: name ?? undefined,
    previous: previous ?? undefined,
    next: next ?? undefined,
    complete: complete ?? false,
    imports: imports ?? [],
    importSegments: importSegments ?? undefined,
    topics: topics ?? {},
    left: left ?? [],
  };
}

export function extraJson(
  { name, previous, next, complete, imports, importSegments, topics, left }: ArchiveExtra,
): Json {
  return {
    name: name ?? null,
    previous: previous ?? null,
    next: next ?? null,
    complete,
    imports,
    importSegments: importSegments ?? null,
    topics,
    left: left.map((one) => ({ ...one })),
  };
}

/** Into what the state keeps: what the topic of a pchannel that is archived is known by from now on. */
export function noteTopic(kept: Json, pchannel: string, topicId: string): void {
  const topics = (kept as { topics?: Record<string, string> } | null)?.topics;
  if (topics?.[pchannel] !== undefined) topics[pchannel] = topicId;
}
