/** Tidemark as its users run it: a process with a configuration file, a state folder and an exit status. */
import { parseJson } from "../../../pipeline/json.ts";
import type { RunStatus } from "../../../pipeline/model/mod.ts";

const MAIN = new URL("../../../main.ts", import.meta.url).pathname;

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

export interface ExitReport {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
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
      sources: {
        meta: { type: "etcd", endpoints: [env.ETCD_ENDPOINT], root_path: env.SOURCE_ROOT },
        log: { type: "kafka", brokers: [env.KAFKA_BROKERS] },
        binlogs: {
          type: "s3",
          endpoint: env.S3_ENDPOINT,
          bucket: env.SOURCE_BUCKET,
          root_path: "files",
          access_key_id: env.S3_ACCESS_KEY,
          secret_access_key: env.S3_SECRET_KEY,
        },
      },
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
    const running = new Running(["--config", this.config, ...args], env);
    this.#children.add(running);
    running.exit.finally(() => this.#children.delete(running));
    return running;
  }

  /** `run --once`; fails the test with what was printed if the status is another. */
  async once(expected = 0, env: Record<string, string> = {}, args: readonly string[] = []): Promise<ExitReport> {
    const report = await this.start(["run", "--once", ...args], env).exit;
    if (report.code !== expected) {
      throw new Error(
        `run --once ended with ${report.code}, expected ${expected}:\n${report.stderr}\n${report.stdout}`,
      );
    }
    return report;
  }

  async command(args: readonly string[], env: Record<string, string> = {}): Promise<ExitReport> {
    return await this.start(args, env).exit;
  }

  async status(): Promise<RunStatus | undefined> {
    try {
      const text = await Deno.readTextFile(`${this.folder}/state/test.state.json`);
      return (parseJson(text) as unknown as { status: RunStatus }).status;
    } catch {
      return undefined;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) await child.kill();
    await Deno.remove(this.folder, { recursive: true });
  }
}

/** One process. */
export class Running {
  readonly exit: Promise<ExitReport>;
  readonly #child: Deno.ChildProcess;
  #ended = false;

  /** `cwd`: where it runs; default: where the test does. */
  constructor(args: readonly string[], env: Record<string, string>, cwd?: string) {
    // The command comes first, options behind it, as in the documentation.
    const command = args.slice(2).find((item) => !item.startsWith("-"));
    const rest = args.filter((item) => item !== command);
    const words = args[2] !== undefined && !args[2].startsWith("-") ? [...args.slice(2), ...args.slice(0, 2)] : rest;
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", MAIN, ...words],
      env,
      ...(cwd === undefined ? {} : { cwd }),
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.exit = this.#child.output().then(({ code, stdout, stderr }) => {
      this.#ended = true;
      return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
    });
  }

  get ended(): boolean {
    return this.#ended;
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** As a crash would. */
  async kill(): Promise<ExitReport> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
    return await this.exit;
  }

  /** As an operator would. */
  async stop(): Promise<ExitReport> {
    this.#child.kill("SIGTERM");
    return await this.exit;
  }
}
