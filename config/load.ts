/** From files to a checked configuration: parse, overlay, expand, read secrets, lint. */
import { TidemarkError } from "../pipeline/errors.ts";
import type { z } from "zod";
import { crossCheck } from "./cross_checks.ts";
import type { ConfigNode, MapNode } from "./document.ts";
import { lintDocument } from "./lint.ts";
import { overlay, withoutNulls } from "./overlay.ts";
import { formatProblem, type Problem, sortProblems } from "./problem.ts";
import { collectSecrets, createRedactor, type Redactor } from "./redact.ts";
import { type PipelineConfig, pipelineSpec } from "./schema.ts";
import { readSecretFiles, type ReadText } from "./secret_files.ts";
import { type Environment, expandVariables } from "./variables.ts";
import { parseYaml } from "./yaml.ts";
import { plural } from "../pipeline/units/mod.ts";

export interface LoadOptions {
  /** Default: the process' environment. */
  readonly environment?: Environment;
  /** Default: the file system. */
  readonly readText?: ReadText;
}

export interface LoadedDocument<T> {
  /** Undefined if there are problems. */
  readonly config: T | undefined;
  readonly problems: readonly Problem[];
  /** Knows every secret of the files, those of a configuration with problems too. */
  readonly redact: Redactor;
  readonly files: readonly string[];
  /** As written, all files together; undefined where one of them is no YAML. */
  readonly root: ConfigNode | undefined;
}

export type LoadedConfig = LoadedDocument<PipelineConfig>;

/** Reads the files, later ones over earlier ones. Never throws for what is in them; throws `config` for a file that is not there. */
export function loadConfig(files: readonly string[], options: LoadOptions = {}): LoadedConfig {
  return loadDocument(files, pipelineSpec, crossCheck, options);
}

/** As {@link loadConfig}, for a file of another schema. `check`: what a schema cannot say. */
export function loadDocument<T>(
  files: readonly string[],
  spec: z.ZodType<T>,
  check: (root: ConfigNode) => readonly Problem[],
  options: LoadOptions = {},
): LoadedDocument<T> {
  const environment = options.environment ?? ((name: string) => Deno.env.get(name));
  const readText = options.readText ?? ((path: string) => Deno.readTextFileSync(path));
  const problems: Problem[] = [];
  let merged: ConfigNode | undefined;
  for (const file of files) {
    const parsed = parseYaml(readConfigFile(file, readText), file);
    problems.push(...parsed.problems);
    if (parsed.root !== undefined) merged = merged === undefined ? parsed.root : overlay(merged, parsed.root);
  }
  const done = (config: T | undefined, secrets: readonly string[]): LoadedDocument<T> => ({
    config: problems.length === 0 ? config : undefined,
    problems: sortProblems(problems, files),
    redact: createRedactor(secrets),
    files,
    root: merged,
  });
  // With a part of the document unreadable, what is missing elsewhere cannot be known.
  if (merged === undefined || problems.length > 0) return done(undefined, []);
  const plain = withoutNulls(merged as MapNode);
  const before = collectSecrets(plain, spec);
  const expanded = expandVariables(plain, environment);
  problems.push(...expanded.problems);
  const read = readSecretFiles(expanded.root, spec, readText);
  problems.push(...read.problems);
  const linted = lintDocument(spec, read.root);
  const missing = new Set(expanded.problems.map((problem) => place(problem)));
  // A scalar whose variable is missing is empty now; what the schema says of that is noise.
  problems.push(...[...linted.problems, ...check(linted.root)].filter((problem) => !missing.has(place(problem))));
  return done(linted.value, [...before, ...read.secrets, ...collectSecrets(linted.root, spec)]);
}

/** As {@link loadConfig}; throws `config` with every problem in the message if there is one. */
export function loadCheckedConfig(
  files: readonly string[],
  options: LoadOptions = {},
): { readonly config: PipelineConfig; readonly redact: Redactor } {
  const { config, problems, redact } = loadConfig(files, options);
  if (config === undefined) throw configError(problems, redact);
  return { config, redact };
}

/** One error for all problems, already without secrets. */
export function configError(problems: readonly Problem[], redact: Redactor): TidemarkError {
  const count = plural(problems.length, "one problem", `${problems.length} problems`);
  return new TidemarkError(
    "config",
    redact(`The configuration has ${count}:\n${problems.map((problem) => `  ${formatProblem(problem)}`).join("\n")}`),
    {
      hint: "Mend the lines above; `tidemark lint` checks again, `tidemark schema` prints every key.",
    },
  );
}

function place(problem: Problem): string {
  return `${problem.at.file}:${problem.at.line}:${problem.at.column}`;
}

function readConfigFile(file: string, readText: ReadText): string {
  try {
    return readText(file);
  } catch (cause) {
    const why = cause instanceof Deno.errors.NotFound
      ? "does not exist"
      : cause instanceof Deno.errors.PermissionDenied
      ? "may not be read by this user"
      : cause instanceof Deno.errors.IsADirectory
      ? "is a folder"
      : "cannot be read";
    throw new TidemarkError("config", `The configuration file ${file} ${why}`, {
      hint: "Give the path of a YAML file with --config; config/examples/ has some to start from.",
      ...(cause instanceof Deno.errors.NotFound ? {} : { cause }),
    });
  }
}
