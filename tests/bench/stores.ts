/**
 * Copies between two buckets of each kind of store, through this machine, beside rclone: alternating rounds of whole processes.
 *
 *     deno task bench stores [--objects 32] [--mib 64] [--rounds 3] [--zeros] [--only versitygw,rclone,azurite,gcs] [--small]
 *
 * A bucket and its copy lie on disk (versitygw, rclone) or in the memory of the emulator. `--zeros`: objects of zeros, whose
 * blocks a file system can be told to free.
 */
import type { ObjectStore } from "../../pipeline/model/mod.ts";
import { objectStoreSpec, openObjectStore } from "../../stores/mod.ts";
import { installRclone } from "../stack/install.ts";
import { hasArgument, numberArgument } from "./arguments.ts";
import { countRequests } from "./request_counter.ts";
import { note } from "./rig.ts";
import { type BenchServer, SERVERS } from "./stores_servers.ts";
import { fixed, printFigure, quantile } from "./table.ts";
import { type TimedCommand, timedCommand } from "./timed_command.ts";

const MIB = 1024 ** 2;
const OBJECTS = numberArgument("objects", 32, 4);
const SIZE = numberArgument("mib", 64, 20);
const ROUNDS = numberArgument("rounds", 3, 1);
/** Objects of the run whose requests are counted. */
const COUNTED = Math.min(OBJECTS, 4);
const [FROM, TO] = ["bench-from", "bench-to"];

async function* content(seed: number): AsyncIterable<Uint8Array> {
  const piece = new Uint8Array(MIB);
  if (!hasArgument("zeros")) piece.forEach((_, i) => piece[i] = ((i + seed) * 2_654_435_761) >>> 13);
  for (let i = 0; i < SIZE; i++) yield await Promise.resolve(piece);
}

function open(config: Record<string, unknown>): Promise<ObjectStore> {
  return openObjectStore(objectStoreSpec.parse(config));
}

async function remove(store: ObjectStore): Promise<void> {
  await store.delete((await Array.fromAsync(store.list(""))).map(({ key }) => key));
}

type Copy = (server: BenchServer, origin: string) => Promise<TimedCommand>;

async function tools(folder: string): Promise<Readonly<Record<string, Copy>>> {
  const rclone = await installRclone();
  const program = new URL("./copy_objects.ts", import.meta.url).pathname;
  await Deno.writeTextFile(`${folder}/rclone.conf`, "");
  return {
    Tidemark: (server, origin) => {
      const [from, to] = [FROM, TO].map((bucket) => JSON.stringify(server.config(bucket, origin)));
      return timedCommand(
        Deno.execPath(),
        ["run", "-A", "--no-check", "--quiet", program, from!, to!, String(OBJECTS)],
        folder,
      );
    },
    rclone: (server, origin) => {
      const remote = Object.entries(server.remote(origin));
      const env = Object.fromEntries(
        ["FROM", "TO"].flatMap((name) =>
          remote.map(([key, value]) => [`RCLONE_CONFIG_${name}_${key.toUpperCase()}`, value] as const)
        ),
      );
      const through = ["--disable", "Copy", "--transfers", String(OBJECTS), "--config", `${folder}/rclone.conf`];
      return timedCommand(rclone, ["copy", ...through, `from:${FROM}`, `to:${TO}/copy`], folder, env);
    },
  };
}

interface Result {
  readonly runs: TimedCommand[];
  requests: string;
}

async function measure(name: string, server: BenchServer, copies: Readonly<Record<string, Copy>>) {
  for (const bucket of [FROM, TO]) await server.createBucket(bucket);
  const [from, to] = await Promise.all([FROM, TO].map((bucket) => open(server.config(bucket, server.origin))));
  const write = async (count: number) => {
    for (let i = 0; i < count; i++) await from!.put(`object-${i}`, content(i));
  };
  const results = new Map(Object.keys(copies).map((tool): [string, Result] => [tool, { runs: [], requests: "" }]));
  try {
    await write(COUNTED);
    for (const [tool, copy] of Object.entries(copies)) {
      await using counter = countRequests(server.origin);
      await copy(server, counter.endpoint);
      const asked = [...counter.take()].map(([kind, count]) => `${fixed(count / COUNTED, 1)} ${kind}`);
      results.get(tool)!.requests = asked.join(", ");
      await remove(to!);
    }
    await write(OBJECTS);
    for (let round = 0; round < ROUNDS; round++) {
      for (const [tool, copy] of Object.entries(copies)) {
        note(`${name}, round ${round + 1} of ${ROUNDS}: ${tool}`);
        results.get(tool)!.runs.push(await copy(server, server.origin));
        const sizes = (await Array.fromAsync(to!.list(""))).map(({ size }) => size);
        if (sizes.length !== OBJECTS || sizes.some((size) => size !== BigInt(SIZE * MIB))) {
          throw new Error(`${tool} copied ${sizes.length} objects of ${[...new Set(sizes)].join(", ")} bytes`);
        }
        await remove(to!);
      }
    }
  } finally {
    await from!.close();
    await to!.close();
  }
  return results;
}

async function main(): Promise<void> {
  const at = Deno.args.indexOf("--only");
  const only = at < 0 ? Object.keys(SERVERS) : Deno.args[at + 1]!.split(",");
  const folder = await Deno.makeTempDir({ prefix: "tidemark_bench_" });
  const rows: string[][] = [];
  try {
    const copies = await tools(folder);
    for (const name of only) {
      const start = SERVERS[name];
      if (start === undefined) throw new Error(`There is no store ${name}: ${Object.keys(SERVERS).join(", ")}`);
      await using server = await start();
      for (const [tool, { runs, requests }] of await measure(name, server, copies)) {
        const gigabytes = OBJECTS * SIZE * MIB / 1e9;
        const median = (values: readonly number[]) => quantile(values, 0.5);
        rows.push([
          `${name}, ${tool}`,
          fixed(gigabytes * 1000 / median(runs.map(({ seconds }) => seconds)), 0),
          fixed(median(runs.map(({ cpu }) => cpu)) / gigabytes),
          fixed(Math.max(...runs.map(({ peak }) => peak)), 0),
          requests,
        ]);
      }
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  printFigure({
    title: `${OBJECTS} objects of ${SIZE} MiB from one bucket to another, all at once`,
    command: `deno task bench stores --objects ${OBJECTS} --mib ${SIZE} --rounds ${ROUNDS}`,
    head: ["store", "MB/s", "CPU s per GB", "peak RSS MiB", "requests per object"],
    rows,
    notes: [
      `Whole processes, start included, in turn; medians of ${ROUNDS}. CPU is of the tool alone, not of the server.`,
      "Tidemark hashes every byte (SHA-256) for its manifest. rclone as it comes, but for as many transfers at once and no copying by the server.",
      `Requests are of a run of ${COUNTED} objects, listings and what is asked once included.`,
    ],
  });
}

if (import.meta.main) await main();
