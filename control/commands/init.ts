/** `init`: finds out what a cluster uses and writes a first configuration. */
import { EXIT, TidemarkError } from "../../pipeline/errors.ts";
import { discoverClusters, etcdMetaSpec, type FoundCluster } from "../../sources/meta/mod.ts";
import type { CommandContext } from "../context.ts";
import { type InitAnswers, initFile } from "../init_file.ts";
import { printResult } from "../print.ts";

export interface InitOptions extends InitAnswers {
  /** Below which of several roots the source is. */
  readonly rootPath: string | undefined;
  readonly out: string;
  readonly force: boolean;
}

/** Throws `not_found` for an etcd without metadata, `usage` where there is a choice to be made or a file in the way. */
export async function initCommand(context: CommandContext, options: InitOptions): Promise<number> {
  const { out, force } = options;
  const config = etcdMetaSpec.parse({
    type: "etcd",
    endpoints: [...options.etcd],
    root_path: options.rootPath ?? "by-dev",
  });
  const cluster = chosen(await discoverClusters(config, context.stop), options);
  const { text, assumed } = initFile(cluster, options);
  try {
    await Deno.writeTextFile(out, text, { createNew: !force });
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    throw new TidemarkError("usage", `${out} exists already`, {
      hint: "Give --force to replace it, or another --out.",
    });
  }
  printResult(context, { file: out, rootPath: cluster.rootPath, queue: cluster.queue?.queue ?? null, assumed }, () => [
    `Wrote ${out}`,
    ...assumed.map((line) => `assumed  ${line}`),
    `Next: tidemark lint --config ${out}, then tidemark check --config ${out}`,
  ]);
  return EXIT.ok;
}

function chosen(found: readonly FoundCluster[], { etcd, rootPath }: InitOptions): FoundCluster {
  const some = rootPath === undefined ? found : found.filter((one) => one.rootPath === rootPath);
  if (some.length === 1) return some[0]!;
  const roots = found.map((one) => one.rootPath).join(", ");
  if (some.length > 1) {
    throw new TidemarkError("usage", `The etcd has the metadata of several clusters: ${roots}`, {
      hint: "Say which with --root-path; it is etcd.rootPath of the source's milvus.yaml.",
    });
  }
  throw new TidemarkError("not_found", `No metadata of Milvus in etcd at ${etcd.join(", ")}`, {
    hint: roots === "" ? "Check that --etcd is the etcd of the source." : `It has metadata below ${roots}.`,
  });
}
