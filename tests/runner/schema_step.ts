/** Fails unless the committed JSON Schema is the one that `main.ts schema` prints. */
import { committedSchema } from "./gate.ts";
import { exists } from "./suites.ts";

function fail(message: string): never {
  console.error(message);
  Deno.exit(1);
}

if (!exists("main.ts")) fail("main.ts is missing, so the JSON Schema of the config cannot be checked");
const path = committedSchema();
if (path === undefined) {
  fail("No pipeline.schema.json below config/. Make it: deno run -A main.ts schema > config/pipeline.schema.json");
}
const printed = await new Deno.Command(Deno.execPath(), { args: ["run", "-A", "main.ts", "schema"] }).output();
if (!printed.success) fail(`main.ts schema ended with ${printed.code}: ${new TextDecoder().decode(printed.stderr)}`);
const wanted = new TextDecoder().decode(printed.stdout);
if (wanted.trim() === "") fail("main.ts schema printed nothing");
if (wanted.trim() !== (await Deno.readTextFile(path)).trim()) {
  fail(`${path} is not what the config's specs say. Renew it: deno run -A main.ts schema > ${path}`);
}
