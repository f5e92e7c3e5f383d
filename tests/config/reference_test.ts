import assert from "node:assert/strict";
import { pipelineJsonSchema } from "../../config/json_schema.ts";
import { configurationReference, REFERENCE_BEGINS, REFERENCE_PAGE, withReference } from "../../config/reference.ts";

/** Names of all keys that the JSON Schema knows, wherever they stand. */
function keysOf(part: unknown, found = new Set<string>()): ReadonlySet<string> {
  if (Array.isArray(part)) { for (const item of part) keysOf(item, found); }
  else if (part !== null && typeof part === "object") {
    const { properties, ...rest } = part as Record<string, unknown>;
    for (const [key, value] of Object.entries(properties ?? {})) keysOf(value, found.add(key));
    keysOf(Object.values(rest), found);
  }
  return found;
}

function rowOf(section: string, key: string): string[] {
  const text = configurationReference().split("\n### ").find((part) => part.startsWith(`${section}\n`));
  assert.ok(text !== undefined, `There is no section ${section}`);
  const line = text.split("\n").find((row) => row.startsWith(`| \`${key}\` `));
  assert.ok(line !== undefined, `There is no row ${key} in ${section}`);
  return line.split("|").slice(1, -1).map((cell) => cell.trim());
}

Deno.test("configurationReference is what docs/configuration.md holds", () => {
  const page = Deno.readTextFileSync(REFERENCE_PAGE);
  assert.equal(withReference(page), page, "run: deno task schema");
});

Deno.test("configurationReference has a row for every key of the JSON Schema", () => {
  const text = configurationReference();
  const missing = [...keysOf(pipelineJsonSchema())].filter((key) =>
    !new RegExp(`^\\| \`([^\`]+\\.)?${key}\` `, "m").test(text)
  );
  assert.deepEqual(missing, []);
});

Deno.test("configurationReference says type, unit, limits and default of a key", () => {
  assert.deepEqual(rowOf("Top level", "limits.in_flight").slice(0, 3), [
    "`limits.in_flight`",
    "size, at least 1 MiB",
    "`64MiB`",
  ]);
  assert.deepEqual(rowOf("Top level", "limits.base_parallelism").slice(1, 3), ["number, 1 to 256", "`4`"]);
  assert.deepEqual(rowOf("Top level", "pipeline").slice(1, 3), ["text", "required"]);
  assert.deepEqual(rowOf("`sources.log`: kafka", "max_wait_ms").slice(1, 3), [
    "duration, at least 10ms, at most 30s",
    "`500ms`",
  ]);
  assert.deepEqual(rowOf("`sinks.<name>`: milvus", "token").slice(1, 3), ["text, secret", ""]);
});

Deno.test("configurationReference tells the storage of one sink from that of another", () => {
  rowOf("`sinks.<name>.storage` of milvus: s3", "root_path");
  rowOf("`sinks.<name>.storage` of backup: s3", "prefix");
});

Deno.test("withReference leaves what stands before the keys as it is", () => {
  assert.equal(withReference("no such line"), undefined);
  const page = withReference(`# Mine\n\n${REFERENCE_BEGINS}old`)!;
  assert.ok(page.startsWith(`# Mine\n\n${REFERENCE_BEGINS}\n## Every key\n`));
  assert.doesNotMatch(page, /old$/);
});
