/**
 * The pages done as they stand: a reader who copies their commands, one after the other, gets what they say. Only the
 * addresses are the stack's, and everything happens in a database of the test's own.
 */
import assert from "node:assert/strict";
import { parseJson } from "../../pipeline/json.ts";
import { msOfHybrid } from "../../pipeline/model/mod.ts";
import { configurationsOf, type ShownConfiguration } from "../docs/configurations.ts";
import { readPages } from "../docs/pages.ts";
import { type ShellCommand, shellCommands } from "../docs/shell.ts";
import { eventually } from "../stack/eventually.ts";
import type { PyMilvus } from "../stack/pymilvus.ts";
import { progressOf, statusIn } from "./pipeline/progress.ts";
import { Running } from "./pipeline/running.ts";
import { FLAT_INDEX, type Servers, SMALL_FIELDS, withServers } from "./pipeline/servers.ts";

/** `sales` of the pages. */
const DB = "docs_sales";
const ORDERS = { name: "orders", db: DB };

/** A page whose commands are done in order, in a folder of its own. */
class Reader implements AsyncDisposable {
  /** What stands in the page, and what it is here. */
  readonly words: Map<string, string>;
  readonly #running = new Set<Running>();
  readonly #secrets: Record<string, string>;

  private constructor(
    readonly folder: string,
    readonly commands: readonly ShellCommand[],
    readonly shown: ReadonlyMap<string, ShownConfiguration>,
    env: Record<string, string>,
  ) {
    const [id, secret] = [env.S3_ACCESS_KEY!, env.S3_SECRET_KEY!];
    this.#secrets = { S3_KEY: id, S3_SECRET: secret, AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: secret };
    this.words = new Map([
      ["http://minio:9000", env.S3_ENDPOINT!],
      ["s3://backups", `s3://${env.SOURCE_BUCKET}/docs_test`],
      ["etcd:2379", env.ETCD_ENDPOINT!],
      ["kafka:9092", env.KAFKA_BROKERS!],
      ["dr:19530", env.TARGET_URI!],
      ["milvus:19530", env.TARGET_URI!],
      ["a-bucket", env.SOURCE_BUCKET!],
      ["b-bucket", env.TARGET_BUCKET!],
      ["by-dev }", `${env.SOURCE_ROOT} }`],
      ["/backups", `${folder}/backups`],
      ["sales", DB],
    ]);
  }

  /** Reads the page, and takes its commands that need a configuration or a backup. */
  static async open(path: string, env: Record<string, string>): Promise<Reader> {
    const pages = readPages();
    const page = pages.find((other) => other.path === path)!;
    const commands = page.blocks.filter(({ language }) => language === "sh").flatMap(shellCommands)
      .filter(({ words }) => words[0] === "tidemark" && (words.includes("--config") || words[1] === "backup"));
    const folder = await Deno.makeTempDir({ prefix: "tidemark_docs_" });
    const reader = new Reader(folder, commands, configurationsOf(page, pages), env);
    await reader.rewrite();
    // Other collections of the stack are none of the page's.
    await Deno.writeTextFile(`${folder}/only.yaml`, `transforms: { select: { include: ["${DB}.*"] } }\n`);
    return reader;
  }

  /** Writes the configurations of the page, as they are here. */
  async rewrite(): Promise<void> {
    for (const { name, text } of this.shown.values()) {
      await Deno.writeTextFile(`${this.folder}/${name}`, this.#real(text));
    }
  }

  #real(text: string): string {
    for (const [shown, real] of this.words) text = text.replaceAll(shown, real);
    return text;
  }

  start({ words }: ShellCommand): Running {
    const args = words.slice(1).map((word) => this.#real(word));
    const behind = args.includes("--config") ? ["--config", "only.yaml"] : ["--log-level", "info"];
    const config = this.shown.get(words[words.indexOf("--config") + 1]!)?.text ?? "";
    const state = `${this.folder}/state/${/^pipeline: ([\w-]+)/m.exec(config)?.[1]}.state.json`;
    const running = new Running([...behind, ...args], {
      cwd: this.folder,
      env: this.#secrets,
      progress: async () => progressOf(await statusIn(state)),
    });
    this.#running.add(running);
    running.exit.finally(() => this.#running.delete(running));
    return running;
  }

  /** Does it and expects that all is well; the printed results. */
  async run(command: ShellCommand): Promise<string> {
    const { code, stdout, stderr } = await this.start(command).ends();
    assert.equal(code, 0, `${placeOf(command)} ended with ${code}:\n${stderr}\n${stdout}`);
    return stdout;
  }

  /** `check` gives a server ten seconds to answer. A machine with much other work does not keep that; nothing else may fail. */
  async check(command: ShellCommand): Promise<void> {
    const { code, stdout, stderr } = await this.start(command).ends();
    const slow = (line: string) => line.includes("did not answer within");
    const lines = stdout.split("\n");
    assert.deepEqual(lines.filter((line) => line.startsWith("fail") && !slow(line)), [], placeOf(command));
    assert.equal(code, lines.some(slow) ? 11 : 0, `${placeOf(command)}:\n${stderr}\n${stdout}`);
  }

  /** For a command without an end: does it until `reached`, then ends it as Ctrl-C does. */
  async runUntil(command: ShellCommand, what: string, reached: (running: Running) => Promise<boolean>): Promise<void> {
    const running = this.start(command);
    await running.until(`${what} (${placeOf(command)})`, () => reached(running));
    const { code, stderr } = await running.interrupt();
    assert.equal(code, 130, `${placeOf(command)} ended with ${code}:\n${stderr}`);
  }

  /** A topic that carries the orders. */
  async channel(): Promise<string> {
    const inspect = this.commands.find(({ words }) => words[2] === "meta")!;
    const { collections } = parseJson(await this.run(inspect)) as unknown as {
      collections: { name: string; db_name: string; vchannels: string[] }[];
    };
    const [vchannel] = collections.find(({ name, db_name }) => name === ORDERS.name && db_name === DB)!.vchannels;
    return vchannel!.slice(0, vchannel!.lastIndexOf("_"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const running of this.#running) await running.kill();
    await Deno.remove(this.folder, { recursive: true });
  }
}

function placeOf({ page, line, words }: ShellCommand): string {
  return `${page}:${line}: ${words.join(" ")}`;
}

/** A database with one collection of 500 rows, 300 of them flushed. */
async function withOrders(work: (servers: Servers) => Promise<void>): Promise<void> {
  await withServers(DB, async (servers) => {
    const { source } = servers;
    await source.call("create_database", { name: DB });
    await source.call("create_collection", { ...ORDERS, fields: SMALL_FIELDS, indexes: FLAT_INDEX, load: true });
    await source.call("insert_generated", { ...ORDERS, start: 0, count: 300, seed: 1 });
    await source.call("flush", ORDERS);
    await source.call("insert_generated", { ...ORDERS, start: 300, count: 200, seed: 1 });
    await work(servers);
  });
}

/** Whether whoever queries the target finds so many orders. */
const found = (target: PyMilvus, rows: number, db: string) => async () =>
  Number(await target.call("count", { ...ORDERS, db })) === rows;

/** A moment of the source's own clock, as an ISO time, so much later than now. */
async function momentOf(source: PyMilvus, laterMs: number): Promise<string> {
  return new Date(msOfHybrid(BigInt(await source.call("alloc_timestamp") as bigint)) + laterMs).toISOString();
}

Deno.test("README.md: its commands lint, check, plan, copy, and follow until Ctrl-C", async () => {
  await withOrders(async ({ env, target }) => {
    await using reader = await Reader.open("README.md", env);
    assert.deepEqual(reader.commands.map(({ words }) => words[1]), ["lint", "check", "plan", "run"]);
    const [lint, check, plan, run] = reader.commands as [ShellCommand, ShellCommand, ShellCommand, ShellCommand];
    await reader.run(lint);
    await reader.check(check);
    await reader.run(plan);
    await reader.runUntil(run, "all orders are on the target", found(target, 500, DB));
  });
});

Deno.test("docs/copying.md: its commands copy, end where they say, show the status, and verify", async () => {
  await withOrders(async ({ env, source, target }) => {
    await using reader = await Reader.open("docs/copying.md", env);
    const copy = `${DB}_dr`;
    // A file of dead letters needs a row that the target refuses: tests/field/refused_rows_put_aside_test.ts. A source that runs
    // no more is copied by pipeline/rocksmq_test.ts.
    const elsewhere = new Set(["--file", "offline.yaml"]);
    for (const command of reader.commands.filter(({ words }) => !words.some((word) => elsewhere.has(word)))) {
      const [, verb, ...options] = command.words;
      if (options.includes("--until")) {
        await source.call("insert_generated", { ...ORDERS, start: 500, count: 100, seed: 1 });
        reader.words.set("2026-11-19T14:05:00Z", await momentOf(source, 1000));
      }
      if (verb === "inspect") reader.words.set("by-dev-rootcoord-dml_0", await reader.channel());
      if (verb === "check") await reader.check(command);
      else if (verb === "run" && !options.includes("--once") && !options.includes("--until")) {
        await reader.runUntil(command, "all orders are on the target", found(target, 500, copy));
      } else if (options.includes("--follow")) {
        await reader.runUntil(command, "it prints events", ({ stdout }) => Promise.resolve(stdout.includes("\n")));
      } else {
        const text = await reader.run(command);
        if (options.includes("--json")) assert.equal(typeof parseJson(text), "object");
      }
    }
    assert.ok(reader.commands.length >= 12, `only ${reader.commands.length} commands were done`);
    assert.ok(await found(target, 600, copy)());
  });
});

Deno.test("docs/backup.md: its commands back up, look into the backup, check it, and restore to a moment", async () => {
  await withOrders(async ({ env, source, target }) => {
    await using reader = await Reader.open("docs/backup.md", env);
    const restored = `${DB}_yesterday`;
    // Imports and pruning, which come behind on the page, have tests of their own beside this one.
    const commands = reader.commands.slice(0, reader.commands.findIndex(({ words }) => words.includes("import.yaml")));
    for (const command of commands) {
      const text = command.words.slice(1).join(" ");
      if (text === "run --config vault.yaml") {
        const state = `${reader.folder}/state/nightly.state.json`;
        const tail = async () => (await statusIn(state))?.phase === "tail";
        await reader.runUntil(command, "the base is complete and the log is followed", tail);
        await source.call("insert_generated", { ...ORDERS, start: 500, count: 100, seed: 1 });
        const moment = await momentOf(source, 0);
        reader.words.set("2026-11-19T14:05:00Z", moment);
        // A moment is a whole millisecond, and the source's clock moves on by some fifty at once.
        await eventually("the source's clock has left the moment", async () => await momentOf(source, 0) > moment);
        await source.call("delete", { ...ORDERS, start: 0, count: 50 });
        continue;
      }
      // No server of the tests has buckets in its host name; what it asks for is looked at in tests/config/place_config_test.ts.
      if (command.words.includes("--virtual-host")) continue;
      await reader.run(command);
      if (text === "run --config vault.yaml --once") {
        const [backup] = [...Deno.readDirSync(`${reader.folder}/backups`)].map(({ name }) => name);
        reader.words.set("nightly_2026_11_19_03_00_00", backup!);
        await reader.rewrite();
      }
      if (text.includes("--until")) {
        await eventually("all is as it was before the delete", found(target, 600, restored));
      }
    }
    assert.ok(commands.length >= 10, `only ${commands.length} commands were done`);
  });
});
