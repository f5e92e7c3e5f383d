/** Bytes of an ImportTaskInfo of 2.3. */
import { BinaryWriter } from "@bufbuild/protobuf/wire";

export interface OldImportParts {
  readonly id: number;
  readonly collectionId: number;
  readonly code: number;
  readonly segments: readonly number[];
  readonly rows: number;
}

export function oldImportBytes({ id, collectionId, code, segments, rows }: OldImportParts): Uint8Array {
  const state = new BinaryWriter().tag(1, 0).int32(code).tag(2, 2).fork();
  for (const segment of segments) state.int64(segment);
  state.join().tag(4, 0).int64(rows);
  return new BinaryWriter().tag(1, 0).int64(id).tag(4, 0).int64(collectionId).tag(9, 2).string("a.json")
    .tag(11, 2).bytes(state.finish()).tag(12, 2).string("c").finish();
}
