/** Restores as their users run them: `tidemark backup restore` with a configuration file. */
import assert from "node:assert/strict";
import type { LoadChoice } from "../../../pipeline/flow/mod.ts";
import { parseJson } from "../../../pipeline/json.ts";
import { makeCuts } from "../../../pipeline/transforms/mod.ts";
import { etcdMetaSpec, openEtcdMeta } from "../../../sources/meta/mod.ts";
import { stackEnv } from "../../stack/env.ts";
import type { PyMilvus } from "../../stack/pymilvus.ts";
import { eventually } from "../../stack/eventually.ts";
import { progressOf, statusIn } from "../pipeline/progress.ts";
import { type ExitReport, Running } from "../pipeline/running.ts";

export interface RestoreSetupOptions {
  readonly env: Record<string, string>;
  readonly backup: { readonly name: string; readonly storage: Record<string, unknown> };
  readonly transforms: Record<string, unknown>;
  readonly sink?: Record<string, unknown>;
}

/** A pipeline from one backup to the stack's target, in a folder of its own, which is its working folder too. */
export class RestoreSetup implements AsyncDisposable {
  readonly folder: string;
  readonly config: string;
  readonly #children = new Set<Running>();

  private constructor(folder: string, config: string) {
    this.folder = folder;
    this.config = config;
  }

  static async make({ env, backup, transforms, sink }: RestoreSetupOptions): Promise<RestoreSetup> {
    const folder = await Deno.makeTempDir({ prefix: "tidemark_restore_" });
    const path = `${folder}/restore.yaml`;
    const config = {
      pipeline: "restore",
      sources: { backup },
      transforms,
      sinks: { replica: { type: "milvus", address: env.TARGET_URI, ...sink } },
      state: { type: "file", path: `${folder}/state` },
    };
    // JSON is YAML.
    await Deno.writeTextFile(path, JSON.stringify(config, null, 1));
    return new RestoreSetup(folder, path);
  }

  start(args: readonly string[] = [], env: Record<string, string> = {}): Running {
    const running = new Running(["--config", this.config, "backup", "restore", ...args], {
      env,
      cwd: this.folder,
      progress: () => this.#progress(),
    });
    this.#children.add(running);
    running.exit.finally(() => this.#children.delete(running));
    return running;
  }

  /** By the state, whose name has the backup in it. */
  async #progress(): Promise<string> {
    for (const { name } of await Array.fromAsync(Deno.readDir(`${this.folder}/state`)).catch(() => [])) {
      if (name.endsWith(".state.json")) return progressOf(await statusIn(`${this.folder}/state/${name}`));
    }
    return "no state yet";
  }

  /** How `plan` says that each collection is loaded. */
  async planned(): Promise<LoadChoice[]> {
    const { code, stdout, stderr } = await new Running(["--config", this.config, "plan", "--json"]).ends();
    assert.equal(code, 0, stderr);
    const { collections } = parseJson(stdout) as unknown as { collections: { sinks: { load: LoadChoice }[] }[] };
    return collections.flatMap(({ sinks }) => sinks.map(({ load }) => load));
  }

  /** Fails the test with what was printed if the status is another. */
  async restore(args: readonly string[] = [], expected = 0): Promise<ExitReport> {
    const report = await this.start(args).ends();
    assert.equal(report.code, expected, `backup restore ${args.join(" ")}:\n${report.stderr}\n${report.stdout}`);
    return report;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) await child.kill();
    await Deno.remove(this.folder, { recursive: true });
  }
}

/**
 * Flushes `names` and waits until the source's own checkpoints are behind everything that was written: then a base holds
 * all of it. Without a flush a checkpoint moves once a minute.
 */
export async function settled(source: PyMilvus, names: readonly string[]): Promise<void> {
  const now = BigInt(await source.call("alloc_timestamp") as bigint);
  for (const name of names) await source.call("flush", { name });
  const env = stackEnv();
  await using meta = await openEtcdMeta(
    etcdMetaSpec.parse({ type: "etcd", endpoints: [env.ETCD_ENDPOINT], root_path: env.SOURCE_ROOT }),
  );
  await eventually("the checkpoints are behind the flush", async () => {
    const snapshot = await meta.snapshot(new AbortController().signal);
    const cuts = makeCuts(snapshot, snapshot.catalog.collections.filter(({ name }) => names.includes(name)));
    return cuts.length >= names.length && cuts.every(({ ts }) => ts > now);
  });
}
