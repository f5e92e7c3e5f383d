/** `<key>_file`: a secret that is read from a file at load time, as container platforms mount them. */
import { type ConfigNode, type MapNode, nodeAt, withNode } from "./document.ts";
import type { Problem } from "./problem.ts";
import { chooseOption, shapeOf, unwrap, walk } from "./schema_walk.ts";
import type { z } from "zod";

/** Reads a small text file; throws as `Deno.readTextFileSync` does. */
export type ReadText = (path: string) => string;

const SUFFIX = "_file";

/**
 * Puts the content of the file in the place of the secret key, for every key that a spec marks as secret. One line break at
 * the end is not part of the secret. Both forms at once, and a file that cannot be read, are problems.
 */
export function readSecretFiles(
  root: ConfigNode,
  schema: z.core.$ZodType,
  readText: ReadText,
): { readonly root: ConfigNode; readonly problems: readonly Problem[] } {
  const problems: Problem[] = [];
  const found: { path: readonly PropertyKey[]; key: string; fileKey: string }[] = [];
  walk(schema, root, (node, at, path) => {
    if (node.kind !== "map") return;
    const option = chooseOption(at, node);
    const shape = option === undefined ? undefined : shapeOf(option);
    if (shape === undefined) return;
    for (const key of Object.keys(shape)) {
      if (unwrap(shape[key]!).meta.secret === true && node.entries.has(key + SUFFIX)) {
        found.push({ path, key, fileKey: key + SUFFIX });
      }
    }
  });
  let changed = root;
  for (const { path, key, fileKey } of found) {
    const parent = nodeAt(changed, path) as MapNode;
    const entry = parent.entries.get(fileKey)!;
    changed = withNode(changed, [...path, fileKey], undefined);
    if (parent.entries.has(key)) {
      problems.push({ at: entry.keyAt, message: `Both \`${key}\` and \`${fileKey}\` are given: keep one of them` });
      continue;
    }
    const placeholder = (value: string): ConfigNode => ({
      kind: "scalar",
      at: entry.value.at,
      value,
      source: "",
      fromVariable: false,
    });
    if (entry.value.kind !== "scalar" || typeof entry.value.value !== "string" || entry.value.value === "") {
      problems.push({ at: entry.value.at, message: `Expected the path of a file that holds \`${key}\`` });
      // Something in its place, so that the key is not called missing as well.
      changed = withNode(changed, [...path, key], placeholder("unreadable"));
      continue;
    }
    const file = entry.value.value;
    let text = "unreadable";
    try {
      text = readText(file).replace(/\r?\n$/, "");
      if (text === "") problems.push({ at: entry.value.at, message: `The file ${file} for \`${key}\` is empty` });
    } catch (error) {
      const why = error instanceof Deno.errors.NotFound
        ? "does not exist"
        : error instanceof Deno.errors.PermissionDenied
        ? "may not be read by this user"
        : "cannot be read";
      problems.push({ at: entry.value.at, message: `The file ${file} for \`${key}\` ${why}` });
    }
    changed = withNode(changed, [...path, key], placeholder(text));
  }
  return { root: changed, problems };
}
