/** A program of this folder: lines of JSON from it and to it; what else it says goes to a file. */
export class LineProcess {
  readonly #process: Deno.ChildProcess;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array>;
  readonly #log: string;
  readonly #answers: string[] = [];
  readonly #reading: Promise<void>;
  #ended = false;
  #wake = () => {};

  constructor(program: string, args: readonly string[], log: string) {
    this.#log = log;
    this.#process = new Deno.Command("sh", {
      args: ["-c", 'log=$1; shift; exec "$@" 2>>"$log"', "sh", log, program, ...args],
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    this.#stdin = this.#process.stdin.getWriter();
    this.#reading = this.#read();
  }

  async write(value: unknown): Promise<void> {
    await this.#stdin.write(new TextEncoder().encode(`${JSON.stringify(value)}\n`));
  }

  /** Throws with the end of its log where it has ended. */
  async next(): Promise<unknown> {
    while (this.#answers.length === 0 && !this.#ended) await new Promise<void>((resolve) => this.#wake = resolve);
    const answer = this.#answers.shift();
    if (answer !== undefined) return JSON.parse(answer);
    const said = await Deno.readTextFile(this.#log).catch(() => "");
    throw new Error(`It ended. Its log ${this.#log} ends:\n${said.slice(-2000)}`);
  }

  /** At once, as a crash. */
  async kill(): Promise<void> {
    if (!this.#ended) this.#process.kill("SIGKILL");
    await this.#process.status;
    await this.#reading;
    await this.#stdin.close().catch(() => {});
  }

  /** All the time: a program whose output nobody takes stands still. */
  async #read(): Promise<void> {
    using log = await Deno.open(this.#log, { create: true, append: true });
    const encoder = new TextEncoder();
    let rest = "";
    for await (const piece of this.#process.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + piece).split("\n");
      rest = lines.pop()!;
      // Woodpecker's own log comes the same way.
      this.#answers.push(...lines.filter((line) => line.startsWith("{")));
      const said = lines.filter((line) => !line.startsWith("{"));
      if (said.length > 0) await log.write(encoder.encode(`${said.join("\n")}\n`));
      this.#wake();
    }
    this.#ended = true;
    this.#wake();
  }
}
