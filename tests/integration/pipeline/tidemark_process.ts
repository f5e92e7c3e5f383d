/** Tidemark as its users run it: a process with a configuration file, a state folder and an exit status. */
import type { RunStatus } from "../../../pipeline/model/mod.ts";
import { progressOf, statusIn } from "./progress.ts";
import { type ExitReport, Running } from "./running.ts";

export { type ExitReport, Running } from "./running.ts";

export interface SetupOptions {
  readonly env: Record<string, string>;
  readonly include: readonly string[];
  readonly route?: readonly { readonly from: string; readonly to: string }[];
  /** Keys merged over the made configuration, by top-level key. */
  readonly extra?: Record<string, unknown>;
  readonly transforms?: Record<string, unknown>;
  readonly sink?: Record<string, unknown>;
  readonly sinks?: Record<string, unknown>;
}

/** `sources` of a configuration, each part with these changes. */
export function stackSources(
  env: Record<string, string>,
  changes: Record<string, Record<string, unknown>> = {},
): Record<string, unknown> {
  const right: Record<string, Record<string, unknown>> = {
    meta: { type: "etcd", endpoints: [env.ETCD_ENDPOINT], root_path: env.SOURCE_ROOT },
    log: { type: "kafka", brokers: [env.KAFKA_BROKERS] },
    binlogs: env.SOURCE_FILES === undefined ? s3Binlogs(env) : { type: "file", path: env.SOURCE_FILES },
  };
  return Object.fromEntries(Object.entries(right).map(([key, value]) => [key, { ...value, ...changes[key] }]));
}

function s3Binlogs(env: Record<string, string>): Record<string, unknown> {
  return {
    type: "s3",
    endpoint: env.S3_ENDPOINT,
    bucket: env.SOURCE_BUCKET,
    root_path: "files",
    access_key_id: env.S3_ACCESS_KEY,
    secret_access_key: env.S3_SECRET_KEY,
  };
}

/** A pipeline from the stack's source to its target, in a folder of its own. */
export class TidemarkSetup implements AsyncDisposable {
  readonly folder: string;
  readonly config: string;
  #children = new Set<Running>();

  private constructor(folder: string, config: string) {
    this.folder = folder;
    this.config = config;
  }

  static async make(options: SetupOptions): Promise<TidemarkSetup> {
    const { env } = options;
    const folder = await Deno.makeTempDir({ prefix: "tidemark_test_" });
    const config = {
      pipeline: "test",
      sources: stackSources(env),
      transforms: { select: { include: options.include }, route: options.route ?? [], ...options.transforms },
      sinks: options.sinks ?? { replica: { type: "milvus", address: env.TARGET_URI, ...options.sink } },
      state: { type: "file", path: `${folder}/state` },
      ...options.extra,
    };
    const path = `${folder}/pipeline.yaml`;
    // JSON is YAML.
    await Deno.writeTextFile(path, JSON.stringify(config, null, 1));
    return new TidemarkSetup(folder, path);
  }

  /** Replaces top-level keys of the configuration. */
  async change(keys: Record<string, unknown>): Promise<void> {
    const config = JSON.parse(await Deno.readTextFile(this.config));
    await Deno.writeTextFile(this.config, JSON.stringify({ ...config, ...keys }, null, 1));
  }

  start(args: readonly string[] = [], env: Record<string, string> = {}): Running {
    const running = new Running(["--config", this.config, ...args], {
      env,
      progress: async () => progressOf(await this.status()),
    });
    this.#children.add(running);
    running.exit.finally(() => this.#children.delete(running));
    return running;
  }

  /** `run --once`; fails the test with what was printed if the status is another. */
  async once(expected = 0, env: Record<string, string> = {}, args: readonly string[] = []): Promise<ExitReport> {
    const report = await this.start(["run", "--once", ...args], env).ends();
    if (report.code !== expected) {
      throw new Error(
        `run --once ended with ${report.code}, expected ${expected}:\n${report.stderr}\n${report.stdout}`,
      );
    }
    return report;
  }

  async command(args: readonly string[], env: Record<string, string> = {}): Promise<ExitReport> {
    return await this.start(args, env).ends();
  }

  async status(): Promise<RunStatus | undefined> {
    return await statusIn(`${this.folder}/state/test.state.json`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) await child.kill();
    await Deno.remove(this.folder, { recursive: true });
  }
}
