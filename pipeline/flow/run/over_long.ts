/**
 * Texts that are longer than the schema says, as far as the statistics of the files show them: Milvus' bulk import does not check
 * lengths, and a target refuses such rows. Statistics name the first and the last text of a file in their order, so that what
 * they show is there, and what they do not show may be there, too.
 */
import { toTidemarkError } from "../../errors.ts";
import type { BinlogSource, Collection, Segment } from "../../model/mod.ts";
import { DataType, type FieldSchema } from "../../proto/gen/schema_pb.ts";

export interface OverLongTexts {
  readonly field: string;
  /** Bytes of the longest text that was found. */
  readonly longest: number;
  /** The field's max_length. */
  readonly limit: number;
  /** Files in which statistics show one. */
  readonly files: number;
}

/** Files of one collection that are looked into. */
const MOST_FILES = 512;
const AT_ONCE = 8;

/** What cannot be read says nothing here: a run says it. */
export async function foreseeOverLong(
  binlogs: Pick<BinlogSource, "extremes">,
  { schema: { fields } }: Collection,
  segments: readonly Segment[],
  signal: AbortSignal,
): Promise<OverLongTexts[]> {
  const { extremes } = binlogs;
  if (extremes === undefined) return [];
  const found = new Map<string, OverLongTexts>();
  let files = 0;
  const todo = segments.flatMap((segment) =>
    fields.flatMap((field) => {
      const limit = limitOf(field);
      return limit === undefined ? [] : [{ segment, field, limit }];
    })
  );
  let next = 0;
  const worker = async () => {
    while (next < todo.length && files < MOST_FILES) {
      const { segment, field: { fieldID, name }, limit } = todo[next++]!;
      try {
        for await (const { texts } of extremes(segment, fieldID, signal)) {
          const longest = Math.max(0, ...texts.map((text) => new TextEncoder().encode(text).length));
          if (longest > limit) {
            const known = found.get(name);
            const most = Math.max(longest, known?.longest ?? 0);
            found.set(name, { field: name, longest: most, limit, files: (known?.files ?? 0) + 1 });
          }
          if (++files >= MOST_FILES) break;
        }
      } catch (thrown) {
        const error = toTidemarkError(thrown);
        if (signal.aborted || error.retriable) throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, todo.length) }, worker));
  return [...found.values()];
}

/** Undefined for what is no text of a limited length. */
function limitOf({ dataType, typeParams }: FieldSchema): number | undefined {
  if (dataType !== DataType.VarChar) return undefined;
  const limit = Number(typeParams.find(({ key }) => key === "max_length")?.value ?? 0);
  return limit > 0 ? limit : undefined;
}
