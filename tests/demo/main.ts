/**
 * `deno task demo`: a real source Milvus, a real target Milvus, Tidemark between them, a kill in the middle, and the proof
 * that both sides are equal. Installs what is missing, stops everything it started.
 */
import { parseJson } from "../../pipeline/json.ts";
import { PyMilvus, type Stack, startStack } from "../stack/mod.ts";
import { Story } from "./story.ts";
import { writeWhileRunning } from "./workload.ts";

const USAGE = `deno task demo

Takes no arguments. Starts a source and a target on this machine, copies, kills the copy in the middle, starts it again,
compares both sides, and stops what it started.`;

const MAIN = new URL("../../main.ts", import.meta.url).pathname;

const BOOKS = {
  name: "books",
  description: "128-d vectors, JSON, a dynamic field, two shards",
  shards: 2,
  dynamic: true,
  partitions: ["archive"],
  fields: [
    { name: "id", type: "Int64", primary: true },
    { name: "vec", type: "FloatVector", dim: 128 },
    { name: "title", type: "VarChar", max_length: 256 },
    { name: "doc", type: "JSON" },
  ],
  indexes: [{
    field: "vec",
    name: "vec_idx",
    params: { index_type: "HNSW", metric_type: "L2", params: '{"M":8,"efConstruction":64}' },
  }],
  load: true,
};

const AUTHORS = {
  name: "authors",
  fields: [
    { name: "name", type: "VarChar", max_length: 128, primary: true },
    { name: "vec", type: "FloatVector", dim: 16 },
    { name: "born", type: "Int32" },
  ],
  indexes: [{ field: "vec", params: { index_type: "FLAT", metric_type: "COSINE" } }],
  load: true,
};

function config(env: Record<string, string>, state: string): string {
  return `pipeline: demo
sources:
  meta:    { type: etcd, endpoints: ["${env.ETCD_ENDPOINT}"], root_path: ${env.SOURCE_ROOT} }
  log:     { type: kafka, brokers: ["${env.KAFKA_BROKERS}"] }
  binlogs: { type: file, path: "${env.SOURCE_FILES}" }
sinks:
  replica: { type: milvus, address: "${env.TARGET_URI}" }
state: { type: file, path: "${state}" }
`;
}

function tidemark(args: string[]): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", MAIN, ...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

interface Verdict {
  readonly source: string;
  readonly target: string;
  readonly verdict: string;
  readonly expectedRows: number;
  readonly targetRows: number;
}

async function play(stack: Stack, story: Story): Promise<boolean> {
  const { env } = stack;
  const folder = await Deno.makeTempDir({ prefix: "tidemark_demo_" });
  const file = `${folder}/pipeline.yaml`;
  await Deno.writeTextFile(file, config(env, `${folder}/state`));
  await using source = await PyMilvus.start(env.SOURCE_URI!, { python: env.PYTHON! });
  await using target = await PyMilvus.start(env.TARGET_URI!, { python: env.PYTHON! });
  try {
    await source.call("create_collection", BOOKS);
    await source.call("create_collection", AUTHORS);
    await source.call("insert_generated", { name: "books", start: 0, count: 16000, seed: 1 });
    await source.call("insert_generated", { name: "books", start: 16000, count: 4000, seed: 1, partition: "archive" });
    await source.call("insert_generated", { name: "authors", start: 0, count: 2000, seed: 2 });
    await source.call("flush", { name: "books" });
    await source.call("delete", { name: "books", start: 100, count: 300 });
    await source.call("insert_generated", { name: "books", start: 1000, count: 500, seed: 3, upsert: true });
    story.step(
      "The source holds 20 000 books and 2 000 authors, 300 deletes and 500 upserts; half of it is not flushed",
    );

    const writing = new AbortController();
    const writer = writeWhileRunning(source, writing.signal);
    let run = tidemark(["run", "--config", file]);
    story.step("tidemark run --config pipeline.yaml: base copy, then the log; the source is written to all the while");
    await story.until(
      "the first rows are on the target",
      60,
      async () => await target.call("has_collection", { name: "books" }) === true && await rows(target, "books") > 0,
    );
    run.kill("SIGKILL");
    await run.output();
    story.step(`kill -9, with ${await rows(target, "books")} books on the target`);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    run = tidemark(["run", "--config", file]);
    story.step("Started again: it goes on where its checkpoint is");
    await new Promise((resolve) => setTimeout(resolve, 4000));
    writing.abort();
    const written = await writer;
    story.step(
      `The writer stops after ${written.inserts} inserts, ${written.upserts} upserts, ${written.deletes} deletes and ${written.ddl} changes of structure`,
    );
    await story.until(
      "the target has caught up",
      60,
      async () =>
        await rows(target, "books") === await rows(source, "books") &&
        await rows(target, "notes") === await rows(source, "notes"),
    );
    const verify = await tidemark(["verify", "--json", "--config", file]).output();
    const text = new TextDecoder().decode(verify.stdout);
    run.kill("SIGTERM");
    const end = await run.output();
    if (verify.code !== 0 && text === "") {
      story.say(new TextDecoder().decode(verify.stderr));
      return false;
    }
    const { collections } = parseJson(text) as unknown as { collections: Verdict[] };
    story.step(
      "tidemark verify: every key and every value compared; then SIGTERM: the run drained and ended with " + end.code,
    );
    story.table(
      ["collection", "on the target", "rows by the log", "rows there", "content"],
      collections.map((item) => [
        item.source,
        item.target,
        String(item.expectedRows),
        String(item.targetRows),
        item.verdict,
      ]),
    );
    return verify.code === 0;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Rows of a collection that may not be there, or not be loaded, yet: then -1. */
async function rows(server: PyMilvus, name: string): Promise<number> {
  try {
    return Number(await server.call("count", { name }));
  } catch {
    return -1;
  }
}

if (Deno.args.length > 0) {
  console.log(USAGE);
  Deno.exit(["--help", "-h"].includes(Deno.args[0]!) ? 0 : 2);
}
const story = new Story();
story.say("Tidemark's demo: a full copy and everything after it, in one run, with a kill in the middle\n");
const stop = new AbortController();
Deno.addSignalListener("SIGINT", () => stop.abort());
let good = false;
{
  await using stack = await startStack("demo", { log: (line) => story.detail(line), signal: stop.signal });
  story.step(
    "Source: Milvus 2.3.5 with Kafka, its metadata in etcd, its files in a folder. Target: another Milvus 2.3.5",
  );
  good = await play(stack, story);
}
story.step("Everything that was started is stopped");
story.say(good ? "\nBoth sides are equal.\n" : "\nThe two sides differ: this is a defect.\n");
Deno.exit(good ? 0 : 1);
