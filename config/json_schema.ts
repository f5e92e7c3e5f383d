/** The JSON Schema of the configuration, for editors. */
import { z } from "zod";
import { formatJson } from "../pipeline/json.ts";
import { pipelineSpec } from "./schema.ts";
import { unwrap } from "./schema_walk.ts";

/** Where the committed copy stands, as a URL of this source tree. */
export const COMMITTED_SCHEMA = new URL("./pipeline.schema.json", import.meta.url);

type Part = { [key: string]: unknown };

/** What a `${VAR}` looks like to an editor, in the place of a number, a boolean or a word of a list. */
const VARIABLE: Part = { type: "string", pattern: "^\\$\\{.+\\}$" };

/** Draft 7, which editors' YAML support knows best. Secrets are `writeOnly` and have their `…_file` form. */
export function pipelineJsonSchema(): Part {
  const schema = z.toJSONSchema(pipelineSpec, {
    target: "draft-7",
    io: "input",
    unrepresentable: "any",
    override: ({ zodSchema, jsonSchema }) => {
      const part = jsonSchema as Part;
      if (part.secret === true) {
        delete part.secret;
        part.writeOnly = true;
      }
      // What sizes and durations say for the reference page.
      for (const key of ["unit", "least", "most"]) delete part[key];
      addSecretFiles(zodSchema, part);
      acceptVariables(part);
    },
  }) as Part;
  return schema;
}

/** The text of the committed file. */
export function pipelineJsonSchemaText(): string {
  return formatJson(pipelineJsonSchema(), 2) + "\n";
}

function addSecretFiles(zodSchema: z.core.$ZodType, part: Part): void {
  if (part.type !== "object" || part.properties === undefined) return;
  const shape = (zodSchema._zod.def as unknown as { shape?: Record<string, z.core.$ZodType> }).shape;
  if (shape === undefined) return;
  const properties = part.properties as Record<string, Part>;
  const required = (part.required as string[] | undefined) ?? [];
  for (const [key, schema] of Object.entries(shape)) {
    if (unwrap(schema).meta.secret !== true) continue;
    const fileKey = `${key}_file`;
    properties[fileKey] ??= { type: "string", description: `File that holds ${key}, instead of it` };
    if (!required.includes(key)) continue;
    part.required = required.filter((item) => item !== key);
    part.allOf = [...(part.allOf as Part[] | undefined) ?? [], {
      oneOf: [{ required: [key] }, { required: [fileKey] }],
    }];
  }
}

function acceptVariables(part: Part): void {
  const typed = part.type === "number" || part.type === "integer" || part.type === "boolean" || part.enum !== undefined;
  if (!typed || part.anyOf !== undefined) return;
  const { description, default: fallback, title, writeOnly, ...own } = part;
  for (const key of Object.keys(own)) delete part[key];
  Object.assign(part, { anyOf: [own, VARIABLE] }, description === undefined ? {} : { description });
  if (fallback !== undefined) part.default = fallback;
  if (title !== undefined) part.title = title;
  if (writeOnly !== undefined) part.writeOnly = writeOnly;
}
