import assert from "node:assert/strict";
import { loadConfig } from "../../config/load.ts";
import { formatProblem } from "../../config/problem.ts";

const folder = new URL("../../config/examples/", import.meta.url);
const OVERLAYS: Readonly<Record<string, readonly string[]>> = { "prod.yaml": ["base.yaml", "prod.yaml"] };

Deno.test("loadConfig finds no problem in any example", () => {
  const names = [...Deno.readDirSync(folder)].map((entry) => entry.name).filter((name) => name.endsWith(".yaml"));
  assert.ok(names.length >= 5);
  for (const name of names) {
    const files = (OVERLAYS[name] ?? [name]).map((file) => new URL(file, folder).pathname);
    const { problems } = loadConfig(files, {
      environment: (variable) => /^(AWS|DR|S3)_/.test(variable) ? "user:a-secret-value" : undefined,
      readText: (path) => path.startsWith("/run/secrets/") ? "a-secret-value\n" : Deno.readTextFileSync(path),
    });
    assert.deepEqual(problems.map(formatProblem), [], name);
  }
});
