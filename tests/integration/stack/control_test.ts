import assert from "node:assert/strict";
import { attachStack, listStacks, stackEnv, StackError, startStack } from "../../stack/mod.ts";
import { isReady } from "../../stack/component.ts";
import { eventually } from "../../stack/eventually.ts";

/** The smallest stack there is. */
const ONLY_LITE = { without: ["etcd", "kafka", "s3", "source", "target"] as const };

Deno.test("attachStack stops, starts, kills, pauses and resumes one component", async () => {
  const stack = await attachStack();
  const port = parseInt(new URL(stackEnv().MILVUS_LITE_URI!).port, 10);
  const listens = () => isReady({ kind: "port", port });
  await stack.start("lite");
  assert.ok(stack.alive("lite") && await listens());
  await stack.stop("lite");
  assert.ok(!stack.alive("lite") && !await listens());
  await stack.start("lite");
  assert.ok(stack.alive("lite") && await listens());
  stack.pause("lite");
  assert.ok(stack.alive("lite"));
  stack.resume("lite");
  await stack.restart("lite");
  assert.ok(stack.alive("lite") && await listens());
});

Deno.test("startStack refuses a port block that is in use, and says which port", async () => {
  const basePort = parseInt(stackEnv().BASE_PORT!, 10);
  await assert.rejects(
    startStack("full", { ...ONLY_LITE, name: "refused", basePort }),
    (error) => error instanceof StackError && /Port \d+ is taken/.test(error.message),
  );
});

Deno.test("startStack ends what it started when the caller stops it, and keeps the logs", async () => {
  const stop = new AbortController();
  const starting = startStack("full", { ...ONLY_LITE, name: "stopped", signal: stop.signal });
  let dir: string | undefined;
  await eventually("a process of the stack is started", async () => {
    dir = (await listStacks()).find(({ record }) => record.name === "stopped")?.dir;
    return dir !== undefined && (await Deno.stat(`${dir}/pids/lite`)).isFile;
  });
  stop.abort(new Error("enough"));
  await assert.rejects(starting, /enough/);
  assert.deepEqual([...Deno.readDirSync(dir!)].map((entry) => entry.name).sort(), ["logs", "stack.json"]);
  await Deno.remove(dir!, { recursive: true });
});

Deno.test("startStack's processes do not outlive a killed owner", async () => {
  const code = `
    import { startStack } from "${new URL("../../stack/mod.ts", import.meta.url)}";
    const stack = await startStack("full", { name: "orphaned", without: ${JSON.stringify(ONLY_LITE.without)} });
    console.log(stack.dir);
    await new Promise(() => setInterval(() => {}, 1000));
  `;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-check", code],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = child.stdout.getReader();
  const dir = new TextDecoder().decode((await reader.read()).value).trim();
  const control = await attachStack(`${dir}/env`);
  assert.ok(control.alive("lite"));
  child.kill("SIGKILL");
  await child.status;
  await reader.cancel();
  await eventually("the guard ends the processes", () => !control.alive("lite"));
  await eventually("the guard removes the folder", () => Deno.stat(dir).then(() => false, () => true));
});
