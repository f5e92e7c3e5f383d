/** The program in this folder, asked and answered at once: a fake that uses it need not wait. */
import type { Action, Message } from "../../fakes/streaming/action.ts";

export class StreamingProgram implements Disposable {
  readonly #process: Deno.ChildProcess;
  readonly #to: Deno.FsFile;
  readonly #from: Deno.FsFile;
  readonly #dir: string;
  #rest = "";

  constructor(program: string) {
    this.#dir = Deno.makeTempDirSync({ prefix: "tidemark-streaming-" });
    const [to, from] = [`${this.#dir}/to`, `${this.#dir}/from`];
    // Pipes with names, which can be read and written at once, while those of a child cannot.
    new Deno.Command("mkfifo", { args: [to, from] }).outputSync();
    this.#process = new Deno.Command("sh", {
      args: ["-c", 'exec "$1" <"$2" >"$3"', "sh", program, to, from],
      stdin: "null",
      stdout: "null",
      stderr: "inherit",
    }).spawn();
    this.#to = Deno.openSync(to, { write: true });
    this.#from = Deno.openSync(from, { read: true });
  }

  readonly build = (action: Action): Message => {
    const line = JSON.stringify(action, (_key, value) => typeof value === "bigint" ? `${value}` : value);
    let bytes = new TextEncoder().encode(`${line}\n`);
    while (bytes.length > 0) bytes = bytes.subarray(this.#to.writeSync(bytes));
    const { payload, properties } = JSON.parse(this.#line());
    return { properties, value: Uint8Array.fromBase64(payload ?? "") };
  };

  #line(): string {
    const buffer = new Uint8Array(65_536);
    for (;;) {
      const end = this.#rest.indexOf("\n");
      if (end >= 0) {
        const line = this.#rest.slice(0, end);
        this.#rest = this.#rest.slice(end + 1);
        return line;
      }
      const read = this.#from.readSync(buffer);
      if (read === null) throw new Error("The program has ended, see what it said above");
      this.#rest += new TextDecoder().decode(buffer.subarray(0, read));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this[Symbol.dispose]();
    await this.#process.status;
  }

  /** Its end of input is its end. */
  [Symbol.dispose](): void {
    this.#to.close();
    this.#from.close();
    Deno.removeSync(this.#dir, { recursive: true });
  }
}
