/** The configuration of a task: text that came by the network, JSON or YAML, checked as a file is. */
import { type ConfigNode, mapScalars, type PlainValue, plainValue, type ScalarNode } from "./document.ts";
import { loadConfig, type LoadedConfig, type LoadOptions } from "./load.ts";
import { type PointedProblem, pointedProblems } from "./pointers.ts";
import { MASK, type Redactor } from "./redact.ts";
import { type PipelineConfig, pipelineSpec } from "./schema.ts";
import { isSecretAt } from "./schema_walk.ts";

export interface CheckedText {
  /** Undefined if there are problems. */
  readonly config: PipelineConfig | undefined;
  readonly problems: readonly PointedProblem[];
  readonly redact: Redactor;
  /** As written, variables unexpanded, with {@link MASK} in the place of each secret; undefined where the text is no map. */
  readonly masked: PlainValue | undefined;
  /** As written, with its secrets: for the process that runs it, and for nobody else. */
  readonly plain: PlainValue | undefined;
}

/** Never throws. */
export function checkTaskText(text: string, options: LoadOptions): CheckedText {
  const { readText } = options;
  const loaded = loadConfig(["task"], {
    ...options,
    readText: (path) => path === "task" ? text : readText!(path),
  });
  const { root, redact, config } = loaded;
  return {
    config,
    redact,
    problems: pointedProblems(root, loaded.problems).map((one) => ({ ...one, message: redact(one.message) })),
    masked: maskedConfig(loaded),
    plain: root === undefined ? undefined : plainValue(root),
  };
}

/** A configuration that was loaded from files as it may be shown; undefined where it is no map. */
export function maskedConfig({ root, redact }: LoadedConfig): PlainValue | undefined {
  return root === undefined ? undefined : masked(root, redact);
}

function masked(root: ConfigNode, redact: Redactor): PlainValue {
  const paths = new Map<ConfigNode, readonly PropertyKey[]>();
  const note = (node: ConfigNode, path: readonly PropertyKey[]): void => {
    paths.set(node, path);
    if (node.kind === "list") node.items.forEach((item, index) => note(item, [...path, index]));
    if (node.kind === "map") { for (const [key, { value }] of node.entries) note(value, [...path, key]); }
  };
  note(root, []);
  const mask = (scalar: ScalarNode): ScalarNode => {
    if (scalar.value === null || scalar.value === "") return scalar;
    // A variable's name is no secret, and whoever reads the configuration wants to know which it is.
    const named = typeof scalar.value === "string" && /^\$\{[A-Za-z_][A-Za-z0-9_]*\}$/.test(scalar.value);
    if (!named && isSecretAt(pipelineSpec, root, paths.get(scalar) ?? [])) return { ...scalar, value: MASK };
    return typeof scalar.value === "string" ? { ...scalar, value: redact(scalar.value) } : scalar;
  };
  return plainValue(mapScalars(root, mask));
}
