/** Reads one YAML 1.2 file into a tree with positions. The only place that knows the YAML library. */
import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, type ParsedNode, parseDocument } from "yaml";
import type { ConfigNode, MapEntry } from "./document.ts";
import type { Position, Problem } from "./problem.ts";

export interface ParsedYaml {
  /** Undefined if the text is not YAML of the kind that is accepted here; `problems` then says why. */
  readonly root: ConfigNode | undefined;
  readonly problems: readonly Problem[];
}

/**
 * Plain data only: no anchors, aliases, tags, directives or several documents, each of which would make one text mean
 * something that cannot be seen at the place where it is used. `file` is the name for positions.
 */
export function parseYaml(text: string, file: string): ParsedYaml {
  const lines = new LineCounter();
  const position = (offset: number): Position => {
    const { line, col } = lines.linePos(Math.max(0, offset));
    return { file, line: Math.max(1, line), column: Math.max(1, col) };
  };
  const document = parseDocument(text.replace(/^\uFEFF/, ""), {
    lineCounter: lines,
    version: "1.2",
    prettyErrors: false,
    logLevel: "error",
  });
  const problems: Problem[] = document.errors.map((error) => ({
    at: position(error.pos[0]),
    message: sentence(error.code, error.message, text.slice(error.pos[0], error.pos[1])),
  }));
  for (const warning of document.warnings) {
    problems.push({ at: position(warning.pos[0]), message: sentence(warning.code, warning.message, "") });
  }
  if (document.directives?.yaml.explicit) {
    problems.push({ at: position(0), message: "YAML directives (%YAML, %TAG) are not supported: remove the line" });
  }
  if (problems.length > 0) return { root: undefined, problems };
  const contents = document.contents as ParsedNode | null;
  if (contents === null) {
    return {
      root: undefined,
      problems: [{ at: position(0), message: "The file is empty: expected a map of keys, such as `pipeline: name`" }],
    };
  }
  const root = convert(contents, position, problems);
  if (problems.length > 0) return { root: undefined, problems };
  if (root.kind !== "map") {
    return {
      root: undefined,
      problems: [{
        at: root.at,
        message: `Expected a map of keys at the top of the file, got a ${
          root.kind === "list" ? "list" : "single value"
        }`,
      }],
    };
  }
  return { root, problems };
}

function convert(node: Node, position: (offset: number) => Position, problems: Problem[]): ConfigNode {
  const at = position(node.range?.[0] ?? 0);
  if (isAlias(node)) {
    problems.push({ at, message: `Aliases are not supported (*${node.source}): write the value out, or use \${VAR}` });
    return { kind: "scalar", at, value: null, source: "", fromVariable: false };
  }
  const { anchor } = node as { anchor?: string };
  if (anchor !== undefined) {
    problems.push({ at, message: `Anchors are not supported (&${anchor}): write the value out, or use \${VAR}` });
  }
  const { tag } = node as { tag?: string };
  if (tag !== undefined) {
    problems.push({ at, message: "Tags are not supported: write the plain value, in quotes where text is meant" });
  }
  if (isMap(node)) {
    const entries = new Map<string, MapEntry>();
    for (const pair of node.items) {
      const key = pair.key as Node | null;
      const keyAt = key?.range ? position(key.range[0]) : at;
      if (!isScalar(key) || key.value === null || typeof key.value === "object") {
        problems.push({ at: keyAt, message: "Expected a plain word as key" });
        continue;
      }
      const name = typeof key.value === "string" ? key.value : key.source ?? String(key.value);
      if (name === "<<") {
        problems.push({
          at: keyAt,
          message: "Merge keys (<<) are not supported: overlay files with a second --config instead",
        });
        continue;
      }
      const value = pair.value as Node | null;
      entries.set(name, {
        keyAt,
        value: value === null || value === undefined
          ? { kind: "scalar", at: keyAt, value: null, source: "", fromVariable: false }
          : convert(value, position, problems),
      });
    }
    return { kind: "map", at, entries };
  }
  if (isSeq(node)) {
    return { kind: "list", at, items: node.items.map((item) => convert(item as Node, position, problems)) };
  }
  if (!isScalar(node)) throw new TypeError("A YAML node that is neither alias, map, list nor scalar");
  const value = node.value;
  const plain = value === null || typeof value === "boolean" || typeof value === "number" || typeof value === "string"
    ? value
    : String(value);
  return { kind: "scalar", at, value: plain, source: node.source ?? String(plain), fromVariable: false };
}

/** The library's codes in words that name the remedy. */
function sentence(code: string, message: string, excerpt: string): string {
  switch (code) {
    case "DUPLICATE_KEY":
      return `Duplicate key${/^[\w-]+$/.test(excerpt) ? ` \`${excerpt}\`` : ""}: each key may be given once in a map`;
    case "TAB_AS_INDENT":
      return "A tab is used for indentation: YAML wants spaces";
    case "MULTIPLE_DOCS":
      return "More than one document in the file (---): put overlays in files of their own, each with its --config";
    case "MISSING_CHAR":
    case "BAD_INDENT":
    default:
      return `Not valid YAML: ${message.replace(/\.$/, "")}`;
  }
}
