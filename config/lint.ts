/** Finds every problem of a configuration document at once. */
import type { z } from "zod";
import { type ConfigNode, nodeAt, plainValue, withNode } from "./document.ts";
import { describeIssue } from "./messages.ts";
import type { Problem } from "./problem.ts";

export interface Linted<T> {
  /** Undefined if there are problems. */
  readonly value: T | undefined;
  readonly problems: readonly Problem[];
  /** The document with the scalars that came from variables as the schema wants them. */
  readonly root: ConfigNode;
}

/**
 * Validates the document. A scalar that is one `${VAR}` and nothing else becomes a number or boolean where the schema wants
 * one; any other text stays text, so that `"5"` where a number is wanted is a problem.
 */
export function lintDocument<T>(schema: z.ZodType<T>, document: ConfigNode): Linted<T> {
  let root = document;
  for (;;) {
    const result = schema.safeParse(plainValue(root));
    if (result.success) return { value: result.data, problems: [], root };
    const retyped = retype(root, result.error.issues);
    if (retyped === undefined) {
      return {
        value: undefined,
        problems: result.error.issues.flatMap((issue) => describeIssue(issue, schema, root)),
        root,
      };
    }
    root = retyped;
  }
}

/** One round of retyping; undefined if nothing could be. Ends because a scalar is retyped from text only once. */
function retype(
  root: ConfigNode,
  issues: readonly z.core.$ZodIssue[],
  base: readonly PropertyKey[] = [],
): ConfigNode | undefined {
  let changed: ConfigNode | undefined;
  for (const issue of issues) {
    const path = [...base, ...issue.path];
    if (issue.code === "invalid_union") {
      for (const branch of issue.errors) changed = retype(changed ?? root, branch, path) ?? changed;
      continue;
    }
    if (issue.code !== "invalid_type" && issue.code !== "invalid_value") continue;
    const node = nodeAt(changed ?? root, path);
    if (node?.kind !== "scalar" || !node.fromVariable || typeof node.value !== "string") continue;
    const wanted = issue.code === "invalid_type" ? [issue.expected] : issue.values.map((value) => typeof value);
    const value = wanted.map((type) => read(node.value as string, type)).find((item) => item !== undefined);
    if (value !== undefined) changed = withNode(changed ?? root, path, { ...node, value });
  }
  return changed;
}

function read(text: string, type: string): number | boolean | undefined {
  const trimmed = text.trim();
  if (type === "boolean") return trimmed === "true" ? true : trimmed === "false" ? false : undefined;
  if (type !== "number" && type !== "int") return undefined;
  if (!/^[-+]?(\d+(\.\d*)?|\.\d+)(e[-+]?\d+)?$/i.test(trimmed)) return undefined;
  const value = parseFloat(trimmed);
  return Number.isFinite(value) ? value : undefined;
}
