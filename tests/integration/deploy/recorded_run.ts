/** Runs of a recorded cluster into a backup, with nothing but an etcd of the test's own and folders. */
import { connectEtcd } from "../../../stores/mod.ts";
import { eventually } from "../../stack/eventually.ts";
import { readRecording } from "../../stack/recorded/mod.ts";
import { OwnEtcd } from "../stores/etcd_process.ts";

export interface RecordedRuns extends AsyncDisposable {
  readonly etcd: OwnEtcd;
  /** Below which all its files are. */
  readonly folder: string;
  /** A pipeline's configuration, without a state. */
  config(name: string): Record<string, unknown>;
  /** `tidemark run` with `server:`; returns `host:port` where that listens. */
  run(name: string): Promise<string>;
  /** Ends what {@link run} started, at once. */
  end(): Promise<void>;
}

const MAIN = new URL("../../../main.ts", import.meta.url).pathname;
/** etcd takes 128 in one transaction. */
const WRITES_AT_ONCE = 100;

/** A cluster on Woodpecker: its log lies beside its files. */
export async function recordedRuns(): Promise<RecordedRuns> {
  await using stack = new AsyncDisposableStack();
  const folder = await Deno.makeTempDir({ prefix: "tidemark-recorded-" });
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  const { objects, revisions } = readRecording("2.6.19-woodpecker-v1");
  for (const [key, content] of objects) {
    const path = `${folder}/source/${key}`;
    await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    await Deno.writeFile(path, content);
  }
  const etcd = stack.use(new OwnEtcd());
  await etcd.start();
  const last = new Map(revisions.flatMap(({ changes }) => changes.map(({ key, value }) => [key, value])));
  const writes = [...last].flatMap(([key, value]) => value === undefined ? [] : [{ key, value }]);
  {
    const client = connectEtcd({ endpoints: [etcd.address], timeoutMs: 60_000 });
    for (let at = 0; at < writes.length; at += WRITES_AT_ONCE) {
      await client.transact([], writes.slice(at, at + WRITES_AT_ONCE));
    }
    await client.close();
  }
  const config = (name: string) => ({
    pipeline: name,
    sources: {
      meta: { type: "etcd", endpoints: [etcd.address], root_path: "by-dev" },
      log: { type: "woodpecker", storage: { type: "file", path: `${folder}/source` }, root_path: "files/wp" },
      binlogs: { type: "file", path: `${folder}/source/files` },
    },
    // Of the one channel whose log ends where its base was cut: there nothing is behind, however old the recording is.
    transforms: { select: { include: ["default.imp", "shop.users"] } },
    sinks: {
      vault: { type: "backup", name, storage: { type: "file", path: `${folder}/${name}` }, roll: { age: "1s" } },
    },
  });
  const running: { readonly process: Deno.ChildProcess; readonly reading: Promise<void> }[] = [];
  const end = async () => {
    for (const { process, reading } of running.splice(0)) {
      try {
        process.kill("SIGKILL");
      } catch {
        // It has ended.
      }
      await Promise.all([process.status, reading]);
    }
  };
  stack.defer(end);
  const own = stack.move();
  return {
    etcd,
    folder,
    config,
    end,
    run: async (name) => {
      const file = `${folder}/${name}.yaml`;
      const state = { type: "file", path: `${folder}/${name}-state` };
      await Deno.writeTextFile(
        file,
        JSON.stringify({ ...config(name), state, server: { listen: "127.0.0.1:0" } }),
      );
      const process = new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--quiet", MAIN, "run", "--config", file],
        stdin: "null",
        stdout: "null",
        stderr: "piped",
      }).spawn();
      let log = "";
      const reading = (async () => {
        for await (const text of process.stderr.pipeThrough(new TextDecoderStream())) log += text;
      })();
      let ended = false;
      process.status.then(() => ended = true);
      running.push({ process, reading });
      const address = () => /Listens at http:\/\/(\S+)/.exec(log)?.[1];
      await eventually("the run listens", () => ended || address() !== undefined, { progress: () => log });
      if (ended) throw new Error(`The run ended: ${log}`);
      return address()!;
    },
    [Symbol.asyncDispose]: () => own.disposeAsync(),
  };
}
