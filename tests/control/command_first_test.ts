import assert from "node:assert/strict";
import { commandFirst } from "../../control/command_first.ts";

const COMMANDS = ["run", "backup", "status"];
const ordered = (line: string) => commandFirst(line.split(" "), COMMANDS).join(" ");

Deno.test("commandFirst puts the command before the options that stand before it", () => {
  assert.equal(ordered("--config a.yaml run --once"), "run --config a.yaml --once");
  assert.equal(ordered("-c a.yaml --json -c b.yaml status"), "status -c a.yaml --json -c b.yaml");
  assert.equal(ordered("--config=a.yaml run"), "run --config=a.yaml");
});

Deno.test("commandFirst keeps the words of a command together", () => {
  assert.equal(ordered("--config a.yaml backup show b1 --json"), "backup show b1 --config a.yaml --json");
});

Deno.test("commandFirst leaves everything else as it is", () => {
  for (const line of ["run --config a.yaml", "--config run", "--config a.yaml", "--config a.yaml nonsense", "--help"]) {
    assert.equal(ordered(line), line);
  }
});
