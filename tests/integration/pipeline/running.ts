/** One process of Tidemark, and the waits for it: each ends at once where the process does, and says what it printed last. */
import { eventually, type WaitOptions } from "../../stack/eventually.ts";

const MAIN = new URL("../../../main.ts", import.meta.url).pathname;

export interface ExitReport {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningOptions {
  readonly env?: Record<string, string>;
  /** Where it runs; default: where the test does. */
  readonly cwd?: string;
  /** How far it is, for the waits: as long as that changes, it does not hang. */
  readonly progress?: () => Promise<string>;
}

/** Lines of what a process printed, in a message. */
const LAST_LINES = 6;

export class Running {
  readonly exit: Promise<ExitReport>;
  readonly #child: Deno.ChildProcess;
  readonly #words: string;
  readonly #progress: () => Promise<string>;
  #stdout = "";
  #stderr = "";
  #ended = false;

  constructor(args: readonly string[], { env, cwd, progress }: RunningOptions = {}) {
    // The command comes first, options behind it, as in the documentation.
    const command = args.slice(2).find((item) => !item.startsWith("-"));
    const rest = args.filter((item) => item !== command);
    const words = args[2] !== undefined && !args[2].startsWith("-") ? [...args.slice(2), ...args.slice(0, 2)] : rest;
    this.#words = words.join(" ");
    this.#progress = progress ?? (() => Promise.resolve(""));
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", MAIN, ...words],
      ...(env === undefined ? {} : { env }),
      ...(cwd === undefined ? {} : { cwd }),
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.exit = this.#run();
  }

  async #run(): Promise<ExitReport> {
    await Promise.all([
      collect(this.#child.stdout, (text) => this.#stdout += text),
      collect(this.#child.stderr, (text) => this.#stderr += text),
    ]);
    const { code } = await this.#child.status;
    this.#ended = true;
    return { code, stdout: this.#stdout, stderr: this.#stderr };
  }

  get ended(): boolean {
    return this.#ended;
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** What it wrote to standard output up to now. */
  get stdout(): string {
    return this.#stdout;
  }

  /** What it wrote to standard error up to now. */
  get stderr(): string {
    return this.#stderr;
  }

  /** For a wait that has to do with it: how far it is, and what it printed last. */
  get waiting(): WaitOptions {
    return {
      progress: this.#progress,
      details: () => {
        const lines = `${this.#stdout}${this.#stderr}`.trimEnd().split("\n").slice(-LAST_LINES);
        return lines.map((line) => `    ${line}`).join("\n");
      },
    };
  }

  /** Polls until `test` holds. Throws at once, with what was printed, where the process ends before. */
  async until(what: string, test: () => Promise<boolean> | boolean): Promise<void> {
    let held = false;
    let failure: unknown;
    await eventually(what, async () => {
      // Asked for first: what it did before it ended counts.
      const { ended } = this;
      try {
        held = await test();
      } catch (error) {
        failure = error;
        if (!ended) throw error;
      }
      return held || ended;
    }, this.waiting);
    if (held) return;
    const { code, stdout, stderr } = await this.exit;
    throw new Error(`${this.#words} ended with ${code} before this: ${what}\n${stderr}\n${stdout}`, { cause: failure });
  }

  /** Waits for its end by itself. One that hangs is killed, and fails the test. */
  async ends(): Promise<ExitReport> {
    try {
      await eventually(`${this.#words} ends`, () => this.ended, this.waiting);
    } catch (error) {
      await this.kill();
      throw error;
    }
    return await this.exit;
  }

  /** As a crash would. */
  async kill(): Promise<ExitReport> {
    this.#signal("SIGKILL");
    return await this.exit;
  }

  /** As an operator would. */
  async stop(): Promise<ExitReport> {
    this.#signal("SIGTERM");
    return await this.ends();
  }

  /** As Ctrl-C does. */
  async interrupt(): Promise<ExitReport> {
    this.#signal("SIGINT");
    return await this.ends();
  }

  #signal(signal: Deno.Signal): void {
    try {
      this.#child.kill(signal);
    } catch {
      // It has ended already.
    }
  }
}

async function collect(stream: ReadableStream<Uint8Array>, add: (text: string) => void): Promise<void> {
  for await (const text of stream.pipeThrough(new TextDecoderStream())) add(text);
}
