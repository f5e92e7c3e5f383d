/** A server of tasks as a process of its own, that can be killed. */
import { eventually } from "../../stack/eventually.ts";

export interface ServerRig extends AsyncDisposable {
  readonly folder: string;
  /** Starts it; `env` adds variables. */
  start(env?: Readonly<Record<string, string>>): Promise<RunningServer>;
}

export interface RunningServer {
  readonly url: string;
  readonly process: Deno.ChildProcess;
  /** What it has logged. */
  readonly log: () => string;
  kill(signal: Deno.Signal): Promise<Deno.CommandStatus>;
  request(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Response>;
  // deno-lint-ignore no-explicit-any
  json(path: string): Promise<any>;
}

const FAKES = ["--no-check", new URL("../../fakes/server_process.ts", import.meta.url).pathname];
/** The program itself, whose tasks are runs. */
export const REAL = [new URL("../../../main.ts", import.meta.url).pathname, "serve", "--config"];

/** `configuration`: lines of server.yaml beside the address and the state; `program`: default: with tasks that are fakes. */
export async function serverRig(configuration = "", state?: string, program = FAKES): Promise<ServerRig> {
  const folder = await Deno.makeTempDir({ prefix: "tidemark-server-" });
  const file = `${folder}/server.yaml`;
  const listen = /\blisten"?:/.test(configuration) ? "" : `server: { listen: "127.0.0.1:0" }\n`;
  await Deno.writeTextFile(
    file,
    `${listen}${configuration}\nstate: ${state ?? `{ type: file, path: ${folder}/state }`}\n`,
  );
  const running = new Set<RunningServer>();
  return {
    folder,
    start: async (env = {}) => {
      const process = new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--quiet", ...program, file],
        stdout: "null",
        stderr: "piped",
        env: { ...env },
      }).spawn();
      let log = "";
      const decoder = () => new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>;
      const reading = (async () => {
        for await (const text of process.stderr.pipeThrough(decoder())) log += text;
      })();
      let ended = false;
      process.status.then(() => ended = true);
      await eventually("the server listens", () => {
        return ended || /runs the tasks|takes over when/.test(log);
      }, { progress: () => log });
      if (ended) throw new Error(`The server ended: ${log}`);
      const url = /Listens at (\S+)/.exec(log)![1]!;
      const server: RunningServer = {
        url,
        process,
        log: () => log,
        kill: async (signal) => {
          if (!ended) process.kill(signal);
          const status = await process.status;
          await reading;
          running.delete(server);
          return status;
        },
        request: (method, path, body, headers = {}) =>
          fetch(url + path, {
            method,
            headers: { ...body === undefined ? {} : { "content-type": "application/json" }, ...headers },
            ...body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) },
          }),
        json: async (path) => await (await fetch(url + path)).json(),
      };
      running.add(server);
      return server;
    },
    [Symbol.asyncDispose]: async () => {
      for (const server of [...running]) await server.kill("SIGKILL");
      await Deno.remove(folder, { recursive: true });
    },
  };
}

export function pipeline(name: string, more: Readonly<Record<string, unknown>> = {}) {
  return {
    pipeline: name,
    sources: {
      meta: { type: "etcd", endpoints: ["127.0.0.1:2379"], root_path: "by-dev" },
      log: { type: "kafka", brokers: ["127.0.0.1:9092"] },
      binlogs: {
        type: "s3",
        endpoint: "http://127.0.0.1:9000",
        bucket: "b",
        access_key_id: "key-of-the-test",
        secret_access_key: "secret-of-the-test",
      },
    },
    sinks: { replica: { type: "milvus", address: "127.0.0.1:19530", token: "root:token-of-the-test" } },
    ...more,
  };
}

/** Waits until the task is in one of the states. */
export async function untilState(server: RunningServer, name: string, ...states: string[]) {
  let task: { state: string; reason: string; restarts: number; pid: number | null } | undefined;
  await eventually(`${name} is ${states.join(" or ")}`, async () => {
    task = await server.json(`/api/v1/tasks/${name}`);
    return states.includes(task!.state);
  }, { progress: () => JSON.stringify(task).slice(0, 300), details: server.log });
  // deno-lint-ignore no-explicit-any
  return task as any;
}
