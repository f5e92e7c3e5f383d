/** A `create` as the configuration of a pipeline. */
import { createHash } from "node:crypto";
import type { CdcConfig } from "../../../config/mod.ts";
import type { CreateRequest, MilvusConnectParam } from "./request.ts";
import { type CdcTask, scopeOf } from "./task.ts";
import { targetUri } from "./validate.ts";

/** As names of pipelines are: config/schema.ts. */
const NAME = /^[a-z0-9][a-z0-9_-]{0,62}$/;

/** The sink of every task of /cdc. */
export const CDC_SINK = "target";

/** The task's id where a pipeline may be called so, else one that is made of it. */
export function pipelineName(taskId: string): string {
  return NAME.test(taskId) ? taskId : `cdc-${createHash("sha256").update(taskId).digest("hex").slice(0, 32)}`;
}

/** `sources`: `cdc.sources` as it is written. */
export function pipelineConfig(
  task: CdcTask,
  request: CreateRequest,
  { sources, onExisting }: { readonly sources: unknown; readonly onExisting: CdcConfig["on_existing"] },
): Record<string, unknown> {
  return {
    pipeline: pipelineName(task.taskId),
    sources,
    transforms: {
      // A task may come before its collections do.
      select: { include: scopeOf(task), exclude: [...task.excluded], allow_empty: true },
      route: routesOf(request),
      rbac: task.userRole,
    },
    sinks: { [CDC_SINK]: { ...sinkOf(request.milvus_connect_param), on_existing: onExisting } },
  };
}

/** `db.collection` on the source to the name on the target, the same for all of a database. */
export function routesOf({ name_mapping }: Pick<CreateRequest, "name_mapping">): { from: string; to: string }[] {
  return name_mapping.flatMap(({ source_db, target_db, collection_mapping }) => {
    const names = Object.entries(collection_mapping);
    return names.length === 0
      ? [{ from: `${source_db}.*`, to: `${target_db}.*` }]
      : names.map(([from, to]) => ({ from: `${source_db}.${from}`, to: `${target_db}.${to}` }));
  });
}

function sinkOf(milvus: MilvusConnectParam): Record<string, unknown> {
  const { server_name, server_pem_path, ca_pem_path, client_pem_path, client_key_path } = milvus.dial_config;
  const token = milvus.token !== ""
    ? milvus.token
    : milvus.username === ""
    ? ""
    : `${milvus.username}:${milvus.password}`;
  // One-way: the server's own certificate is what it is measured by.
  const given = {
    ca_file: server_pem_path || ca_pem_path,
    cert_file: server_pem_path === "" ? client_pem_path : "",
    key_file: server_pem_path === "" ? client_key_path : "",
    server_name,
  };
  const tls = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== ""));
  return {
    type: "milvus",
    address: targetUri(milvus),
    ...(token === "" ? {} : { token }),
    ...(Object.keys(tls).length === 0 ? {} : { tls }),
  };
}
