/** Under which name a pipeline's state is kept. */
import { createHash } from "node:crypto";
import { formatJson } from "../pipeline/json.ts";
import type { ObjectStoreConfig } from "../stores/objects/spec.ts";
import type { PipelineConfig } from "./schema.ts";

/**
 * The pipeline's name. A restore's says too what goes where: a restore of another backup, or to another place, with the same file must
 * not take the former one's state for its own.
 */
export function stateName({ pipeline, sources, transforms, sinks }: PipelineConfig): string {
  if (sources.backup === undefined) return pipeline;
  const { name, storage } = sources.backup;
  const from = placeOf(storage);
  const to = Object.entries(sinks).map(([sink, own]) => [sink, own.type === "milvus" ? own.address : ""]);
  const { select, route } = transforms;
  const identity = formatJson({ name, type: storage.type, from, to, select, route });
  return `${pipeline}-${createHash("sha256").update(identity).digest("hex").slice(0, 8)}`;
}

function placeOf(storage: ObjectStoreConfig): readonly string[] {
  switch (storage.type) {
    case "s3":
    case "gcs":
      return [storage.endpoint ?? "", storage.bucket, storage.prefix];
    case "azure":
      return [storage.endpoint ?? storage.account ?? "", storage.container, storage.prefix];
    case "file":
      return [storage.path];
  }
}
