import assert from "node:assert/strict";
import { DENO_VERSION, isLauncher, launcherText } from "../../../control/install/launcher.ts";

const ROOT = new URL("../../../", import.meta.url);

/** Runs a launcher with a PATH of its own and returns what it printed. */
async function start(text: string, args: readonly string[], path = "/usr/bin:/bin"): Promise<[number, string, string]> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/tidemark`, text, { mode: 0o755 });
    const { code, stdout, stderr } = await new Deno.Command(`${folder}/tidemark`, {
      args: [...args],
      env: { PATH: path },
      stdin: "null",
    }).output();
    const decoder = new TextDecoder();
    return [code, decoder.decode(stdout), decoder.decode(stderr)];
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** A checkout with a quote and a blank in its path, and a stand-in for Deno that prints its arguments. */
async function withCheckout(act: (folder: string) => Promise<void>): Promise<void> {
  const parent = await Deno.makeTempDir();
  const folder = `${parent}/some body's`;
  try {
    await Deno.mkdir(`${folder}/bin`, { recursive: true });
    await Deno.writeTextFile(`${folder}/main.ts`, "");
    for (const name of ["deno", "bin/npx"]) {
      const script = `#!/bin/sh\nfor word in ${name} "$@"; do echo "$word"; done\n`;
      await Deno.writeTextFile(`${folder}/${name}`, script, { mode: 0o755 });
    }
    await act(folder);
  } finally {
    await Deno.remove(parent, { recursive: true });
  }
}

Deno.test("launcherText starts the checkout with the Deno that installed it, arguments as they are", async () => {
  await withCheckout(async (folder) => {
    const text = launcherText({ checkout: folder, deno: `${folder}/deno` });
    const [code, stdout] = await start(text, ["run", "--config", "a b.yaml", "--until", "10m ago"]);
    assert.equal(code, 0);
    assert.deepEqual(stdout.trimEnd().split("\n"), [
      ...["deno", "run", "-A", "--quiet", "--frozen", "--config", `${folder}/deno.json`, `${folder}/main.ts`],
      ...["run", "--config", "a b.yaml", "--until", "10m ago"],
    ]);
  });
});

Deno.test("launcherText asks npx for the same version where that Deno is gone", async () => {
  await withCheckout(async (folder) => {
    const text = launcherText({ checkout: folder, deno: `${folder}/gone` });
    const [code, stdout] = await start(text, ["lint"], `${folder}/bin:/usr/bin:/bin`);
    assert.equal(code, 0);
    assert.deepEqual(stdout.split("\n").slice(0, 4), ["bin/npx", "-y", `deno@${DENO_VERSION}`, "run"]);
  });
});

Deno.test("launcherText says so where the checkout is gone", async () => {
  const [code, , stderr] = await start(launcherText({ checkout: "/no/such/place", deno: "/bin/true" }), []);
  assert.equal(code, 1);
  assert.match(stderr, /^Error: Tidemark is not in \/no\/such\/place any more/);
});

Deno.test("isLauncher knows its own files only", () => {
  assert.ok(isLauncher(launcherText({ checkout: "/a", deno: "/b" })));
  assert.ok(!isLauncher("#!/bin/sh\nexec something\n"));
  assert.ok(!isLauncher(""));
});

Deno.test("DENO_VERSION is the version that the container has and the documentation names", () => {
  const files = [
    "Dockerfile",
    "README.md",
    ...[...Deno.readDirSync(new URL("docs", ROOT))].filter(({ isFile }) => isFile).map(({ name }) => `docs/${name}`),
  ];
  const named = files.flatMap((file) =>
    [...Deno.readTextFileSync(new URL(file, ROOT)).matchAll(/\bdeno[@:](\d[\w.]*)/g)].map(([, version]) => version)
  );
  assert.ok(named.length > 3);
  assert.deepEqual([...new Set(named)], [DENO_VERSION]);
});
