/**
 * Lints every example config as a user would. A file whose first lines hold `# overlays: base.yaml` is linted on top of
 * that file of the same folder. Variables without a default get a value, because an example cannot know the reader's.
 */
import { exists, filesBelow } from "./suites.ts";

if (!exists("main.ts")) {
  console.error("main.ts is missing, so the examples cannot be linted");
  Deno.exit(1);
}
const examples = filesBelow("config/examples", ".yaml");
if (examples.length === 0) {
  console.error("config/examples holds no .yaml file: expected at least one example config");
  Deno.exit(1);
}
let failed = 0;
for (const path of examples) {
  const base = /^# overlays: (\S+)$/m.exec(await Deno.readTextFile(path))?.[1];
  const files = base === undefined ? [path] : [`config/examples/${base}`, path];
  const output = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "main.ts", "lint", ...files.flatMap((file) => ["--config", file])],
    env: { ...await placeholders(files), NO_COLOR: "1" },
  }).output();
  if (output.success) continue;
  failed++;
  const decoder = new TextDecoder();
  console.error(`${path} does not lint:\n${decoder.decode(output.stdout)}${decoder.decode(output.stderr)}`);
}
if (failed > 0) Deno.exit(1);

async function placeholders(files: readonly string[]): Promise<Record<string, string>> {
  const values: Record<string, string> = {};
  for (const file of files) {
    for (const [, name] of (await Deno.readTextFile(file)).matchAll(/\$\{(\w+)(?:\}|:\?)/g)) {
      values[name!] ??= Deno.env.get(name!) ?? "placeholder";
    }
  }
  return values;
}
