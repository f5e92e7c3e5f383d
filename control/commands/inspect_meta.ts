/** `inspect meta`: the catalog, segments and checkpoints at one revision, as JSON. */
import { EXIT, TidemarkError } from "../../pipeline/errors.ts";
import { formatJson } from "../../pipeline/json.ts";
import {
  decodeSnapshot,
  inspectMeta,
  type MetaReading,
  type MetaRecord,
  parseRecords,
} from "../../sources/meta/mod.ts";
import type { CommandContext } from "../context.ts";
import { readInput } from "../read_input.ts";

export interface InspectMetaOptions {
  /** A file of records instead of etcd; `-` is stdin. */
  readonly records: string | undefined;
}

export async function inspectMetaCommand(context: CommandContext, options: InspectMetaOptions): Promise<number> {
  if (options.records !== undefined) {
    const records = [...parseRecords(await readInput(options.records))];
    print(context, decodeSnapshot(records, rootsIn(records, options.records)), undefined);
    return EXIT.ok;
  }
  const { binlogs } = context.config().sources;
  const meta = await context.components().meta();
  print(context, await meta.inspect(context.stop), binlogs?.type === "file" ? binlogs.path : binlogs?.root_path);
  return EXIT.ok;
}

function print(context: CommandContext, reading: MetaReading, filesRoot: string | undefined): void {
  context.terminal.out(formatJson(inspectMeta(reading, filesRoot), 1) + "\n");
}

const KNOWN = /^(.+)\/(root-coord|datacoord-meta|field-index|querycoord-[a-z-]+)\//;

/** Where the keys begin: what stands before the parts that every Milvus has. Throws `not_found`. */
function rootsIn(records: readonly MetaRecord[], file: string): { readonly metaRoot: string; readonly kvRoot: string } {
  const roots = new Map<string, number>();
  for (const { key } of records) {
    const root = KNOWN.exec(key)?.[1];
    if (root !== undefined && !root.includes("/snapshots")) roots.set(root, (roots.get(root) ?? 0) + 1);
  }
  const [metaRoot] = [...roots].sort(([, a], [, b]) => b - a)[0] ?? [];
  if (metaRoot === undefined) {
    throw new TidemarkError(
      "not_found",
      `No metadata of Milvus in ${file}: no key has root-coord or datacoord-meta in it`,
      {
        hint: "The file holds all keys below etcd.rootPath, such as by-dev, one JSON object a line.",
      },
    );
  }
  return { metaRoot, kvRoot: metaRoot.replace(/[^/]+$/, "kv") };
}
