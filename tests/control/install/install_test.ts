import assert from "node:assert/strict";
import { resolve } from "node:path";
import { install, type InstallOptions } from "../../../control/install/install.ts";
import { DENO_VERSION } from "../../../control/install/launcher.ts";
import { VERSION } from "../../../control/version.ts";
import { fakeTerminal } from "../fake_terminal.ts";

const CHECKOUT = resolve(import.meta.dirname!, "../../..");

function options(folder: string): InstallOptions {
  return { args: ["--to", folder], checkout: CHECKOUT, deno: { path: Deno.execPath(), version: DENO_VERSION } };
}

async function withFolder(act: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await act(`${folder}/bin`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function output(command: string, args: string[]): Promise<[number, string]> {
  const { code, stdout } = await new Deno.Command(command, { args, cwd: "/", stdin: "null" }).output();
  return [code, new TextDecoder().decode(stdout)];
}

Deno.test("install makes a command that runs this checkout from anywhere, and can be run again", async () => {
  await withFolder(async (folder) => {
    for (const time of [1, 2]) {
      const terminal = fakeTerminal({ env: { PATH: "/usr/bin", HOME: "/nowhere" } });
      assert.equal(await install(terminal, options(folder)), 0, `time ${time}`);
      assert.ok(terminal.stdout.startsWith(`tidemark ${VERSION} is installed: ${folder}/tidemark\n`));
      assert.ok(terminal.stdout.includes(`${folder} is not on PATH`));
    }
    assert.deepEqual(await output(`${folder}/tidemark`, ["--version"]), [0, `${VERSION}\n`]);
    assert.equal((await output(`${folder}/tidemark`, ["no-such-command"]))[0], 2);
    assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["tidemark"]);
  });
});

Deno.test("install leaves a program of somebody else alone", async () => {
  await withFolder(async (folder) => {
    await Deno.mkdir(folder);
    await Deno.writeTextFile(`${folder}/tidemark`, "#!/bin/sh\necho mine\n");
    await assert.rejects(install(fakeTerminal(), options(folder)), /tidemark is another program/);
    assert.equal(await Deno.readTextFile(`${folder}/tidemark`), "#!/bin/sh\necho mine\n");
  });
});

Deno.test("install refuses another Deno, a relative folder and unknown arguments before it writes", async () => {
  await withFolder(async (folder) => {
    const other = { ...options(folder), deno: { path: "/bin/deno", version: "1.0.0" } };
    await assert.rejects(install(fakeTerminal(), other), { message: `This is Deno 1.0.0, expected ${DENO_VERSION}` });
    await assert.rejects(install(fakeTerminal(), { ...options(folder), args: ["--to", "bin"] }), { code: "usage" });
    await assert.rejects(install(fakeTerminal(), { ...options(folder), args: ["--force"] }), { code: "usage" });
    await assert.rejects(Deno.stat(folder), Deno.errors.NotFound);
  });
});
