import assert from "node:assert/strict";
import { TidemarkError } from "../../../pipeline/errors.ts";
import { createFileStateStore } from "../../../stores/state/file.ts";
import { testStateStore } from "../../conformance/state.ts";

const never = new AbortController().signal;

testStateStore("createFileStateStore", async () => {
  const path = await Deno.makeTempDir({ prefix: "tidemark-state-" });
  return {
    open: () => createFileStateStore({ path, pipeline: "p" }),
    loseLease: () => Deno.remove(`${path}/p.lock`),
    crashWhileWriting: () => Deno.writeTextFile(`${path}/p.state.json.tmp-0000`, '{"half'),
    close: () => Deno.remove(path, { recursive: true }),
  };
});

Deno.test("createFileStateStore frees the lease of a process that was killed at once, and names it before", async () => {
  const path = await Deno.makeTempDir({ prefix: "tidemark-state-" });
  const script = `
    import { createFileStateStore } from ${
    JSON.stringify(new URL("../../../stores/state/file.ts", import.meta.url).href)
  };
    const store = createFileStateStore({ path: ${JSON.stringify(path)}, pipeline: "p" });
    await store.lock(new AbortController().signal);
    await store.write("from the child");
    console.log("held");
    await new Promise((resolve) => setTimeout(resolve, 600_000));
  `;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", `data:application/typescript,${encodeURIComponent(script)}`],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = child.stdout.getReader();
  await reader.read();
  const store = createFileStateStore({ path, pipeline: "p" });
  await assert.rejects(async () => await store.lock(never), (error: TidemarkError) => {
    assert.equal(error.exitCode, 13);
    assert.match(error.message, new RegExp(`held by a run on \\S+ \\(process ${child.pid}, since `));
    return true;
  });
  child.kill("SIGKILL");
  await child.status;
  await reader.cancel();
  {
    await using _lease = await store.lock(never);
    assert.equal(await store.read(), "from the child");
  }
  await store.close();
  await Deno.remove(path, { recursive: true });
});

Deno.test("createFileStateStore removes what a killed write left when it is locked", async () => {
  const path = await Deno.makeTempDir({ prefix: "tidemark-state-" });
  await Deno.writeTextFile(`${path}/p.state.json.tmp-1234`, "half");
  await Deno.writeTextFile(`${path}/other.state.json.tmp-1234`, "not ours");
  const store = createFileStateStore({ path, pipeline: "p" });
  {
    await using _lease = await store.lock(never);
  }
  const left = [...Deno.readDirSync(path)].map((entry) => entry.name).sort();
  assert.deepEqual(left, ["other.state.json.tmp-1234", "p.lock"]);
  await Deno.remove(path, { recursive: true });
});

Deno.test("createFileStateStore keeps pipelines of one folder apart", async () => {
  const path = await Deno.makeTempDir({ prefix: "tidemark-state-" });
  const a = createFileStateStore({ path: `${path}/deep/er/`, pipeline: "a" });
  const b = createFileStateStore({ path: `${path}/deep/er`, pipeline: "b" });
  {
    await using _a = await a.lock(never);
    await using _b = await b.lock(never);
    await a.write("a");
    await b.write("b");
  }
  assert.equal(await a.read(), "a");
  assert.equal(await b.read(), "b");
  assert.equal(a.location, `${path}/deep/er/a.state.json`);
  await Deno.remove(path, { recursive: true });
});

Deno.test("createFileStateStore says what to mend when the folder cannot be one", async () => {
  const path = await Deno.makeTempFile();
  const store = createFileStateStore({ path: `${path}/state`, pipeline: "p" });
  await assert.rejects(async () => await store.lock(never), (error: TidemarkError) => {
    assert.equal(error.code, "refused");
    assert.match(error.hint!, /state\.path/);
    return true;
  });
  await Deno.remove(path);
});
