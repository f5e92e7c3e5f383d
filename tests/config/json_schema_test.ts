import assert from "node:assert/strict";
import { COMMITTED_SCHEMA, pipelineJsonSchema, pipelineJsonSchemaText } from "../../config/json_schema.ts";

type Part = { [key: string]: unknown };

function walk(part: unknown, visit: (part: Part, path: string) => void, path = "$"): void {
  if (Array.isArray(part)) part.forEach((item, index) => walk(item, visit, `${path}[${index}]`));
  else if (part !== null && typeof part === "object") {
    visit(part as Part, path);
    for (const [key, value] of Object.entries(part)) walk(value, visit, `${path}.${key}`);
  }
}

Deno.test("pipelineJsonSchemaText is what config/pipeline.schema.json holds", () => {
  assert.equal(
    Deno.readTextFileSync(COMMITTED_SCHEMA),
    pipelineJsonSchemaText(),
    "run: deno task schema",
  );
});

Deno.test("pipelineJsonSchema marks secrets as writeOnly and offers their _file form", () => {
  const secrets: string[] = [];
  walk(pipelineJsonSchema(), (part, path) => {
    assert.equal(part.secret, path.endsWith(".properties") ? part.secret : undefined, path);
    const properties = part.properties as Record<string, Part> | undefined;
    for (const [key, value] of Object.entries(properties ?? {})) {
      if (value.writeOnly !== true) continue;
      secrets.push(key);
      assert.ok(`${key}_file` in properties!, `${path}.${key}_file`);
    }
  });
  for (const key of ["secret_access_key", "token", "password"]) assert.ok(secrets.includes(key), key);
});

Deno.test("pipelineJsonSchema describes every key", () => {
  const bare: string[] = [];
  walk(pipelineJsonSchema(), (part, path) => {
    for (const [key, value] of Object.entries((part.properties ?? {}) as Record<string, Part>)) {
      if (typeof value !== "object" || value.description === undefined) bare.push(`${path}.${key}`);
    }
  });
  assert.deepEqual(bare, []);
});

Deno.test("pipelineJsonSchema shows defaults as people write them", () => {
  const schema = pipelineJsonSchema() as { properties: { limits: { properties: Record<string, Part> } } };
  assert.equal(schema.properties.limits.properties.in_flight!.default, "64MiB");
  assert.equal(schema.properties.limits.properties.checkpoint_interval!.default, "1s");
});

Deno.test("pipelineJsonSchema lets a variable stand for a number, a boolean and a word of a list", () => {
  const schema = pipelineJsonSchema() as {
    properties: Record<string, { anyOf?: Part[]; properties?: Record<string, { anyOf?: Part[] }> }>;
  };
  const accepts = (part: { anyOf?: Part[] }) =>
    part.anyOf?.some((item) => typeof item.pattern === "string" && new RegExp(item.pattern).test("${X:-4}"));
  assert.ok(accepts(schema.properties.limits!.properties!.base_parallelism!));
  assert.ok(accepts(schema.properties.on_position_lost!));
});
