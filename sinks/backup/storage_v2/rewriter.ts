/** Writes segments kept by a manifest as storage V2, each once. */
import { TidemarkError } from "../../../pipeline/errors.ts";
import type { DeleteMark, LogFile, Segment, SegmentContents } from "../../../pipeline/model/mod.ts";
import type { CopiedSegment, SegmentCopyContext } from "../segment_copy.ts";
import { createSlots } from "../slots.ts";
import { describeRewritten, rewriteSegment, type Rewritten } from "./rewrite.ts";

export interface SegmentRewriter {
  /** `kept` as BackupSession.copySegment is given it. Throws as {@link rewriteSegment}. */
  rewrite(
    segment: Segment,
    kept: { readonly files: readonly LogFile[] | undefined; readonly contents: SegmentContents | undefined },
    forgotten: readonly DeleteMark[],
    signal: AbortSignal,
  ): Promise<CopiedSegment>;
}

export function createSegmentRewriter(context: SegmentCopyContext): SegmentRewriter {
  // A segment is asked for again when deletes are added that the metadata forgot: its rows are not written anew.
  const known = new Map<bigint, Rewritten>();
  // One at a time: each holds its files' bytes in memory, and they are made on one processor.
  const slots = createSlots(1);
  return {
    async rewrite(segment, { files, contents }, forgotten, signal) {
      if (files === undefined || contents === undefined) {
        throw new TidemarkError(
          "unexpected",
          `Segment ${segment.id} is kept by a manifest, whose files were not given`,
        );
      }
      let rewritten = known.get(segment.id);
      if (rewritten?.manifestPath !== segment.manifestPath) {
        rewritten = await slots.run(() => rewriteSegment(segment, files, contents, context, signal));
        known.set(segment.id, rewritten);
      }
      return await describeRewritten(segment, rewritten, forgotten, context, signal);
    },
  };
}
