/** `server.yaml` to a checked configuration. */
import { type ConfigNode, nodeAt, type PlainValue, plainValue } from "./document.ts";
import { loadDocument, type LoadedDocument, type LoadOptions } from "./load.ts";
import type { Problem } from "./problem.ts";
import { type ServerFile, serverFileSpec } from "./server_spec.ts";

export interface LoadedServer extends LoadedDocument<ServerFile> {
  /** `cdc.sources` as it is written: tasks get it with its variables, not with what they stand for. */
  readonly cdcSources: PlainValue | undefined;
}

/** As `loadConfig`, for `tidemark serve`. */
export function loadServerConfig(files: readonly string[], options: LoadOptions = {}): LoadedServer {
  const loaded = loadDocument(files, serverFileSpec, () => [], options);
  const { config, root } = loaded;
  const sources = root === undefined ? undefined : nodeAt(root, ["cdc", "sources"]);
  const problems = config === undefined || sources === undefined
    ? []
    : variableProblems(sources, new Set(config.server.environment));
  return {
    ...loaded,
    config: problems.length === 0 ? config : undefined,
    problems: [...loaded.problems, ...problems],
    cdcSources: sources === undefined ? undefined : plainValue(sources),
  };
}

/** The sources become part of tasks, and those see no other variables of the environment. */
function variableProblems(node: ConfigNode, known: ReadonlySet<string>): Problem[] {
  if (node.kind === "list") return node.items.flatMap((item) => variableProblems(item, known));
  if (node.kind === "map") {
    return [...node.entries.values()].flatMap(({ value }) => variableProblems(value, known));
  }
  if (typeof node.value !== "string") return [];
  return [...node.value.matchAll(/(?<!\$)(?:\$\$)*\$\{([A-Za-z_][A-Za-z0-9_]*)/g)]
    .map((match) => match[1]!)
    .filter((name) => !known.has(name))
    .map((name) => ({ at: node.at, message: `Tasks may not use \${${name}}: name it in server.environment` }));
}
