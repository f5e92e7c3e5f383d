import { formatJson, type Json, parseJson } from "../../pipeline/json.ts";
import { bytecodeEnvironment } from "./bytecode.ts";
import { patience, PATIENCE_VARIABLE } from "./patience.ts";

/** A call that the driver refused: `kind` is `milvus` (the server's status), `grpc` (the transport) or `python`. */
export class PyMilvusError extends Error {
  override name = "PyMilvusError";
  constructor(message: string, readonly kind: string, readonly code: number, options?: ErrorOptions) {
    super(message, options);
  }
}

export interface PyMilvusOptions {
  /** The Python of the stack: `PYTHON` of its environment. */
  python: string;
  /** `user:password` or an API key. */
  token?: string;
  /** As in {@link parseJson}: with `all`, every integer of an answer is a bigint. Default `unsafe`. */
  bigint?: "unsafe" | "all";
  /** PEM file of the certificate authority, for an address with https://. */
  caFile?: string;
}

const DRIVER = `${import.meta.dirname}/driver/main.py`;

/**
 * A Milvus server driven through the protobuf code of its own Python client, in a process of its own: what tests write
 * with and read back with, independent of the code under test. The functions are in `driver/`.
 *
 * @example
 * await using source = await PyMilvus.start(env.SOURCE_URI!, { python: env.PYTHON! });
 * await source.call("insert_generated", { name: "c1", start: 0, count: 1000, seed: 7 });
 * const rows = await source.call("query_all", { name: "c1" });
 */
export class PyMilvus implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #waiting = new Map<number, PromiseWithResolvers<Json>>();
  readonly #bigint: "unsafe" | "all";
  readonly #reading: Promise<void>;
  #next = 1;

  private constructor(child: Deno.ChildProcess, bigint: "unsafe" | "all") {
    this.#child = child;
    this.#writer = child.stdin.getWriter();
    this.#bigint = bigint;
    this.#reading = this.#read();
  }

  /** Starts the driver for one server and waits until that server answers. */
  static async start(uri: string, options: PyMilvusOptions): Promise<PyMilvus> {
    const child = new Deno.Command(options.python, {
      args: [DRIVER, uri, options.token ?? ""],
      env: {
        ...bytecodeEnvironment(),
        [PATIENCE_VARIABLE]: patience().toFixed(2),
        ...(options.caFile === undefined ? {} : { GRPC_DEFAULT_SSL_ROOTS_FILE_PATH: options.caFile }),
      },
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const bridge = new PyMilvus(child, options.bigint ?? "unsafe");
    try {
      await bridge.call("wait_ready");
      return bridge;
    } catch (thrown) {
      await bridge[Symbol.asyncDispose]();
      throw thrown;
    }
  }

  /** Calls a function of `driver/`. Calls run beside each other: await one before the next to have an order. */
  async call(name: string, args: Record<string, unknown> = {}): Promise<Json> {
    const id = this.#next++;
    const waiting = Promise.withResolvers<Json>();
    this.#waiting.set(id, waiting);
    const line = new TextEncoder().encode(formatJson({ id, call: name, args }) + "\n");
    try {
      await this.#writer.write(line);
    } catch (cause) {
      this.#waiting.delete(id);
      throw new PyMilvusError(`${name}: the driver's process has ended`, "python", 0, { cause });
    }
    return await waiting.promise;
  }

  async #read(): Promise<void> {
    for await (const line of lines(this.#child.stdout)) {
      const answer = parseJson(line, { bigint: this.#bigint }) as unknown as Answer;
      const waiting = this.#waiting.get(Number(answer.id));
      this.#waiting.delete(Number(answer.id));
      if (answer.error === undefined) waiting?.resolve(answer.ok ?? null);
      else waiting?.reject(new PyMilvusError(answer.error.message, answer.error.kind, Number(answer.error.code)));
    }
    for (const waiting of this.#waiting.values()) {
      waiting.reject(new PyMilvusError("The driver's process ended before it answered", "python", 0));
    }
    this.#waiting.clear();
  }

  /** Ends the driver after the calls that still run. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer.close().catch(() => {});
    await this.#reading;
    await this.#child.status;
  }
}

interface Answer {
  id: number | bigint;
  ok?: Json;
  error?: { kind: string; message: string; code: number | bigint };
}

/** Runs a piece of Python to its end: `args` is there as the variable `args`, the value of `result` comes back. */
export async function runPython(
  python: string,
  code: string,
  args: Record<string, unknown> = {},
  signal?: AbortSignal,
): Promise<Json> {
  const wrapped = `import json, os, sys
args = json.load(sys.stdin)
out = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
result = None
${code}
json.dump(result, out)
out.close()
`;
  const child = new Deno.Command(python, {
    args: ["-c", wrapped],
    env: bytecodeEnvironment(),
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
    ...(signal === undefined ? {} : { signal }),
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(formatJson(args))).catch(() => {});
  await writer.close().catch(() => {});
  const output = await child.output();
  if (!output.success) {
    throw new PyMilvusError(
      `Python ended with ${output.code}: ${new TextDecoder().decode(output.stderr)}`,
      "python",
      0,
    );
  }
  return parseJson(new TextDecoder().decode(output.stdout));
}

async function* lines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest: string[] = [];
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const parts = text.split("\n");
    rest.push(parts[0]!);
    for (const part of parts.slice(1)) {
      yield rest.join("");
      rest = [part];
    }
  }
  const last = rest.join("");
  if (last !== "") yield last;
}
