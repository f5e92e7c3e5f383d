/**
 * `${VAR}`, `${VAR:-default}`, `${VAR:?message}` and `$$` in the text of scalars. They are expanded after parsing, so a
 * value can never change the structure of the document.
 */
import { type ConfigNode, mapScalars } from "./document.ts";
import type { Problem } from "./problem.ts";

/** Looks up an environment variable. */
export type Environment = (name: string) => string | undefined;

export interface Expanded {
  readonly root: ConfigNode;
  /** One per variable that is missing or malformed, all of them. */
  readonly problems: readonly Problem[];
}

/** Expands every string scalar of the tree. */
export function expandVariables(root: ConfigNode, environment: Environment): Expanded {
  const problems: Problem[] = [];
  const expanded = mapScalars(root, (scalar) => {
    if (typeof scalar.value !== "string" || !scalar.value.includes("$")) return scalar;
    const result = expandText(scalar.value, environment);
    for (const message of result.errors) problems.push({ at: scalar.at, message });
    return { ...scalar, value: result.text, fromVariable: result.whole };
  });
  return { root: expanded, problems };
}

export interface ExpandedText {
  readonly text: string;
  readonly errors: readonly string[];
  /** The text was one `${…}` and nothing else. */
  readonly whole: boolean;
}

/** A `$` before anything else than `{` or `$` stands for itself. A default may contain further `${…}`. */
export function expandText(text: string, environment: Environment): ExpandedText {
  const errors: string[] = [];
  let out = "";
  let at = 0;
  let references = 0;
  let literals = 0;
  while (at < text.length) {
    const dollar = text.indexOf("$", at);
    if (dollar < 0) {
      out += text.slice(at);
      literals += text.length - at;
      break;
    }
    out += text.slice(at, dollar);
    literals += dollar - at;
    const next = text[dollar + 1];
    if (next === "{") {
      const end = closingBrace(text, dollar + 2);
      if (end < 0) {
        errors.push("A ${ without its closing }: write $$ where a plain dollar sign is meant");
        break;
      }
      out += reference(text.slice(dollar + 2, end), environment, errors);
      references++;
      at = end + 1;
    } else {
      out += "$";
      literals++;
      at = dollar + (next === "$" ? 2 : 1);
    }
  }
  return { text: out, errors, whole: references === 1 && literals === 0 };
}

function closingBrace(text: string, from: number): number {
  let depth = 1;
  for (let at = from; at < text.length; at++) {
    if (text[at] === "$" && text[at + 1] === "{") {
      depth++;
      at++;
    } else if (text[at] === "}" && --depth === 0) return at;
  }
  return -1;
}

const REFERENCE = /^([A-Za-z_][A-Za-z0-9_]*)(?::([-?])([\s\S]*))?$/;

function reference(inner: string, environment: Environment, errors: string[]): string {
  const match = REFERENCE.exec(inner);
  if (match === null) {
    // Not quoted back: whoever pastes a secret between the braces must not find it in a log.
    errors.push(
      "Not a variable: expected ${NAME}, ${NAME:-default} or ${NAME:?message}, and $$ for a plain dollar sign",
    );
    return "";
  }
  const [, name, operator, rest] = match as unknown as [string, string, string | undefined, string | undefined];
  const value = environment(name);
  if (operator === undefined) {
    if (value !== undefined) return value;
    errors.push(`The environment variable ${name} is not set: set it, or write \${${name}:-default}`);
    return "";
  }
  if (value !== undefined && value !== "") return value;
  if (operator === "-") {
    const fallback = expandText(rest ?? "", environment);
    errors.push(...fallback.errors);
    return fallback.text;
  }
  errors.push(`The environment variable ${name} is not set${rest ? `: ${rest}` : ""}`);
  return "";
}
