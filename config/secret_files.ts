/** `<key>_file`: a secret that is read from a file at load time, as container platforms mount them. */
import { type ConfigNode, type MapNode, nodeAt, withNode } from "./document.ts";
import type { Problem } from "./problem.ts";
import { chooseOption, shapeOf, unwrap, walk } from "./schema_walk.ts";
import type { z } from "zod";

/** Reads a small text file; throws as `Deno.readTextFileSync` does. */
export type ReadText = (path: string) => string;

const SUFFIX = "_file";

export interface SecretFiles {
  readonly root: ConfigNode;
  readonly problems: readonly Problem[];
  /** What the files hold, for the redactor. */
  readonly secrets: readonly string[];
}

/**
 * Puts the content of the file in the place of the secret key, for every key that a spec marks as secret. One line break at
 * the end is not part of the secret. Both forms at once, and a file that cannot be read, are problems. A spec that has the
 * `_file` key itself keeps it: its component reads the file again at every login, so that secrets can be rotated.
 */
export function readSecretFiles(
  root: ConfigNode,
  schema: z.core.$ZodType,
  readText: ReadText,
): SecretFiles {
  const problems: Problem[] = [];
  const secrets: string[] = [];
  const found: { path: readonly PropertyKey[]; key: string; fileKey: string; own: boolean }[] = [];
  walk(schema, root, (node, at, path) => {
    if (node.kind !== "map") return;
    const option = chooseOption(at, node);
    const shape = option === undefined ? undefined : shapeOf(option);
    if (shape === undefined) return;
    for (const key of Object.keys(shape)) {
      if (unwrap(shape[key]!).meta.secret === true && node.entries.has(key + SUFFIX)) {
        found.push({ path, key, fileKey: key + SUFFIX, own: key + SUFFIX in shape });
      }
    }
  });
  let changed = root;
  for (const { path, key, fileKey, own } of found) {
    const parent = nodeAt(changed, path) as MapNode;
    const entry = parent.entries.get(fileKey)!;
    const text = readSecret(entry.value, key, readText, (message, at) => problems.push({ at, message }));
    secrets.push(text);
    if (own) continue;
    changed = withNode(changed, [...path, fileKey], undefined);
    if (parent.entries.has(key)) {
      problems.push({ at: entry.keyAt, message: `Both \`${key}\` and \`${fileKey}\` are given: keep one of them` });
      continue;
    }
    changed = withNode(changed, [...path, key], {
      kind: "scalar",
      at: entry.value.at,
      // Something in its place where it could not be read, so that the key is not called missing as well.
      value: text === "" ? "unreadable" : text,
      source: "",
      fromVariable: false,
    });
  }
  return { root: changed, problems, secrets };
}

/** Empty where it cannot be had, and then there is a problem. */
function readSecret(
  node: ConfigNode,
  key: string,
  readText: ReadText,
  report: (message: string, at: ConfigNode["at"]) => void,
): string {
  if (node.kind !== "scalar" || typeof node.value !== "string" || node.value === "") {
    report(`Expected the path of a file that holds \`${key}\``, node.at);
    return "";
  }
  try {
    const text = readText(node.value).replace(/\r?\n$/, "");
    if (text === "") report(`The file ${node.value} for \`${key}\` is empty`, node.at);
    return text;
  } catch (error) {
    const why = error instanceof Deno.errors.NotFound
      ? "does not exist"
      : error instanceof Deno.errors.PermissionDenied
      ? "may not be read by this user"
      : "cannot be read";
    report(`The file ${node.value} for \`${key}\` ${why}`, node.at);
    return "";
  }
}
