/** Somebody has cloned this and nothing else: an empty home, nothing fetched yet, the commands of the README as they stand. */
import assert from "node:assert/strict";
import { stripVTControlCharacters } from "node:util";
import { VERSION } from "../../control/version.ts";

const CHECKOUT = new URL("../../", import.meta.url).pathname;

/** What Deno writes to a terminal while it fetches, and the task that it runs. */
const FETCHING = /^(Download|Initialize|Task) /;

interface Printed {
  readonly code: number;
  readonly stdout: string;
  /** Without what is fetched. */
  readonly stderr: readonly string[];
}

/** Home of somebody who has only what this machine says of its package registry. */
async function emptyHome(): Promise<string> {
  const home = await Deno.makeTempDir({ prefix: "tidemark_newcomer_" });
  const own = `${Deno.env.get("HOME")}/.npmrc`;
  await Deno.copyFile(own, `${home}/.npmrc`).catch((thrown) => {
    if (!(thrown instanceof Deno.errors.NotFound)) throw thrown;
  });
  await Deno.mkdir(`${home}/.local/bin`, { recursive: true });
  return home;
}

async function print(home: string, command: string, args: readonly string[], cwd: string): Promise<Printed> {
  const { code, stdout, stderr } = await new Deno.Command(command, {
    args: [...args],
    cwd,
    env: { HOME: home, DENO_DIR: `${home}/.cache/deno`, PATH: `${home}/.local/bin:/usr/bin:/bin` },
    stdin: "null",
  }).output();
  const text = (bytes: Uint8Array) => stripVTControlCharacters(new TextDecoder().decode(bytes));
  const lines = text(stderr).split("\n").filter((line) => line !== "" && !FETCHING.test(line));
  return { code, stdout: text(stdout), stderr: lines };
}

Deno.test("the commands of the README start the program from a clone, and install it, without a warning or a question", async () => {
  const home = await emptyHome();
  const lock = await Deno.readTextFile(`${CHECKOUT}deno.lock`);
  try {
    // `npx -y deno@…` is this Deno: `launcher_test` holds the version.
    const help = await print(home, Deno.execPath(), ["run", "-A", "main.ts", "--help"], CHECKOUT);
    assert.deepEqual([help.code, help.stderr], [0, []]);
    assert.match(help.stdout, /^Usage: tidemark /);

    const installed = await print(home, Deno.execPath(), ["task", "install"], CHECKOUT);
    assert.deepEqual([installed.code, installed.stderr], [0, []]);
    assert.ok(installed.stdout.startsWith(`tidemark ${VERSION} is installed: ${home}/.local/bin/tidemark\n`));
    assert.ok(!installed.stdout.includes("PATH"), "it is found as it is");

    // From a folder of the user's own, which stays as it was.
    const folder = `${home}/work`;
    await Deno.mkdir(folder);
    const version = await print(home, `${home}/.local/bin/tidemark`, ["--version"], folder);
    assert.deepEqual(version, { code: 0, stdout: `${VERSION}\n`, stderr: [] });
    const again = await print(home, "tidemark", ["--help"], folder);
    assert.deepEqual(again, { code: 0, stdout: help.stdout, stderr: [] });
    assert.deepEqual([...Deno.readDirSync(folder)], []);
    assert.equal(await Deno.readTextFile(`${CHECKOUT}deno.lock`), lock);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});
