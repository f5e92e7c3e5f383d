/** Turns what zod found into sentences at places of the document. */
import type { z } from "zod";
import { type ConfigNode, keyPosition, nodeAt, valuePosition } from "./document.ts";
import { nearest } from "./nearest.ts";
import type { Problem } from "./problem.ts";
import { allowedKeys, chooseOption, isSecretAt, schemaAt, shapeOf, unwrap } from "./schema_walk.ts";
import { plural } from "../pipeline/units/mod.ts";

type Schema = z.core.$ZodType;
type Issue = z.core.$ZodIssue;

/** The problems that one issue stands for. */
export function describeIssue(issue: Issue, schema: Schema, root: ConfigNode): Problem[] {
  const { path } = issue;
  const node = nodeAt(root, path);
  const secret = isSecretAt(schema, root, path);
  const here = (message: string): Problem => ({ at: valuePosition(root, path), message });
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => unknownKey(key, [...path], schema, root));
  }
  if (node === undefined && issue.code !== "custom" && path.length > 0) return [missing(path, schema, root, issue)];
  switch (issue.code) {
    case "invalid_type":
      return [
        here(
          `${expected(path, expectedWord(issue.expected))}, got ${received(node, secret)}${
            quoteAdvice(issue.expected, node, secret)
          }`,
        ),
      ];
    case "invalid_value": {
      const values = issue.values.map(String);
      const given = node?.kind === "scalar" && !secret ? String(node.value) : undefined;
      return [here(`${expected(path, oneOf(values))}, got ${received(node, secret)}${didYouMean(given, values)}`)];
    }
    case "invalid_union":
      return describeUnion(issue, schema, root, node, secret);
    case "invalid_key":
      return issue.issues.map((inner) => ({
        at: keyPosition(root, path),
        message: `The name \`${String(path.at(-1))}\` is not allowed: ${formatOf(inner)}`,
      }));
    case "invalid_element":
      return issue.issues.flatMap((inner) => describeIssue({ ...inner, path: [...path, ...inner.path] }, schema, root));
    case "too_small":
    case "too_big":
    case "not_multiple_of":
    case "invalid_format":
      return [here(`${named(path)}${formatOf(issue)}, got ${received(node, secret)}`)];
    case "custom":
      // Of a key that is not there, what is said at its parent.
      return [
        here(
          node !== undefined || path.length > 1
            ? `${named(node === undefined ? path.slice(0, -1) : path)}${issue.message}`
            : capital(issue.message),
        ),
      ];
  }
}

function unknownKey(key: string, path: PropertyKey[], schema: Schema, root: ConfigNode): Problem {
  const parent = schemaAt(schema, root, path);
  const option = parent === undefined ? undefined : chooseOption(parent, nodeAt(root, path));
  const allowed = option === undefined ? [] : allowedKeys(option);
  const guess = nearest(key, allowed);
  const list = allowed.length > 0 ? `. Allowed here: ${allowed.join(", ")}` : "";
  const where = path.length === 0 ? "" : ` in \`${pathText(path)}\``;
  return {
    at: keyPosition(root, [...path, key]),
    message: `Unknown key \`${key}\`${where}${guess === undefined ? "" : `: did you mean \`${guess}\`?`}${
      guess === undefined ? list : list.slice(1)
    }`,
  };
}

function missing(path: readonly PropertyKey[], schema: Schema, root: ConfigNode, issue: Issue): Problem {
  const at = schemaAt(schema, root, path);
  const meta = at === undefined ? {} : unwrap(at).meta;
  const values = issue.code === "invalid_value"
    ? issue.values.map(String)
    : issue.code === "invalid_union" && "options" in issue && Array.isArray(issue.options)
    ? issue.options.map(String)
    : undefined;
  const parent = path.slice(0, -1);
  const where = parent.length === 0 ? "" : ` in \`${pathText(parent)}\``;
  const what = values === undefined
    ? meta.description === undefined ? "" : `: ${lower(meta.description)}`
    : `: ${oneOf(values)}`;
  const orFile = meta.secret === true ? ` (or \`${String(path.at(-1))}_file\`)` : "";
  return {
    at: keyPosition(root, parent),
    message: `Missing key \`${String(path.at(-1))}\`${orFile}${where}${what.replace(/\.$/, "")}`,
  };
}

function describeUnion(
  issue: Extract<Issue, { code: "invalid_union" }>,
  schema: Schema,
  root: ConfigNode,
  node: ConfigNode | undefined,
  secret: boolean,
): Problem[] {
  const { path } = issue;
  if (issue.errors.length === 0) {
    const options = ("options" in issue && Array.isArray(issue.options) ? issue.options : []).map(String);
    const given = node?.kind === "scalar" ? String(node.value) : undefined;
    const hint = options.length > 0 ? oneOf(options) : "another value";
    return [{
      at: valuePosition(root, path),
      message: `${expected(path, hint)}, got ${received(node, secret)}${didYouMean(given, options)}`,
    }];
  }
  // Of several shapes, the one that the document got furthest with is the one that was meant.
  const option = chooseOption(schemaAt(schema, root, path) ?? schema, node);
  const deep = issue.errors.filter((branch) =>
    branch.some((inner) => inner.path.length > 0 || inner.code !== "invalid_type")
  );
  const keys = option === undefined ? undefined : shapeOf(option);
  const branch =
    (keys === undefined
      ? undefined
      : deep.find((errors) => errors.every((inner) => inner.path.length === 0 || String(inner.path[0]) in keys))) ??
      deep.sort((a, b) => a.length - b.length)[0];
  if (branch !== undefined) {
    return branch.flatMap((inner) => describeIssue({ ...inner, path: [...path, ...inner.path] }, schema, root));
  }
  const words = new Set(
    issue.errors.flat().map((inner) => inner.code === "invalid_type" ? expectedWord(inner.expected) : formatOf(inner)),
  );
  return [{
    at: valuePosition(root, path),
    message: `${expected(path, [...words].join(" or "))}, got ${received(node, secret)}`,
  }];
}

function expected(path: readonly PropertyKey[], what: string): string {
  return path.length === 0 ? `Expected ${what}` : `${named(path)}expected ${what}`;
}

function expectedWord(type: string): string {
  switch (type) {
    case "string":
      return "text";
    case "int":
      return "a whole number";
    case "number":
    case "bigint":
      return "a number";
    case "boolean":
      return "true or false";
    case "array":
    case "tuple":
      return "a list";
    case "object":
    case "record":
    case "map":
      return "a map";
    default:
      return type;
  }
}

function received(node: ConfigNode | undefined, secret: boolean): string {
  if (node === undefined) return "nothing";
  if (node.kind !== "scalar") return node.kind === "list" ? "a list" : "a map";
  if (node.value === null) return "nothing";
  // What the environment holds is not in the file, and may be a secret that was put into the wrong key.
  const variables = [...node.source.matchAll(/\$\{([A-Za-z_]\w*)/g)].map(([, name]) => `\${${name}}`);
  if (variables.length > 0) return `what ${[...new Set(variables)].join(" and ")} holds`;
  if (typeof node.value === "boolean") return String(node.value);
  const kind = typeof node.value === "number" ? "the number" : "the text";
  if (secret) return typeof node.value === "number" ? "a number" : "another text";
  const text = String(typeof node.value === "number" ? node.source || node.value : node.value);
  const short = text.length > 60 ? `${text.slice(0, 57)}...` : text;
  return typeof node.value === "number" ? `${kind} ${short}` : `${kind} ${JSON.stringify(short)}`;
}

function quoteAdvice(wanted: string, node: ConfigNode | undefined, secret: boolean): string {
  if (wanted === "array" && node?.kind === "scalar" && !secret) {
    return `: put it in brackets, [${JSON.stringify(node.value)}]`;
  }
  if (wanted !== "string" || node?.kind !== "scalar" || typeof node.value === "string") return "";
  return secret ? ": put it in quotes" : `: put it in quotes, "${node.source}"`;
}

function oneOf(values: readonly string[]): string {
  return values.length === 1 ? `\`${values[0]}\`` : `one of ${values.join(", ")}`;
}

function didYouMean(given: string | undefined, candidates: readonly string[]): string {
  const guess = given === undefined ? undefined : nearest(given, candidates);
  return guess === undefined ? "" : `: did you mean \`${guess}\`?`;
}

/** A spec's own message as it is; zod's standard ones in our words. */
function formatOf(issue: Issue): string {
  const standard = /^(Invalid|Too (small|big))\b/.test(issue.message);
  if (!standard) return lower(issue.message);
  switch (issue.code) {
    case "too_small":
      return bound(issue.origin, issue.inclusive === false ? "more than" : "at least", issue.minimum);
    case "too_big":
      return bound(issue.origin, issue.inclusive === false ? "less than" : "at most", issue.maximum);
    case "not_multiple_of":
      return `expected a multiple of ${issue.divisor}`;
    case "invalid_format":
      if (issue.format === "regex") return `expected text that matches ${issue.pattern ?? "the pattern"}`;
      return issue.format === "url" ? "expected a URL such as http://host:9000" : `expected ${issue.format}`;
    default:
      return lower(issue.message);
  }
}

function bound(origin: string, comparison: string, limit: number | bigint): string {
  if (origin === "string") {
    return limit === 1 && comparison === "at least"
      ? "expected text that is not empty"
      : `expected ${comparison} ${limit} characters`;
  }
  if (origin === "array" || origin === "set") {
    return `expected ${comparison} ${limit} ${plural(limit, "entry", "entries")}`;
  }
  return `expected ${comparison} ${limit}`;
}

function named(path: readonly PropertyKey[]): string {
  return path.length === 0 ? "" : `\`${pathText(path)}\`: `;
}

/** `sinks.replica.brokers[0]`. */
export function pathText(path: readonly PropertyKey[]): string {
  return path.map((step, index) => typeof step === "number" ? `[${step}]` : `${index === 0 ? "" : "."}${String(step)}`)
    .join("");
}

function lower(text: string): string {
  // Not `S3 …` or `TLS …`.
  return /^[A-Z][a-z]/.test(text) ? text[0]!.toLowerCase() + text.slice(1) : text;
}

function capital(text: string): string {
  return text === "" ? text : text[0]!.toUpperCase() + text.slice(1);
}
