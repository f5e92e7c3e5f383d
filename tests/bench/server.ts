/**
 * `tidemark serve`: what its API answers, what it needs while nobody asks, how events arrive, how soon it is there, what its
 * page weighs. Its tasks are runs as they are, of a source without collections (a real etcd, a folder for the files, no queue)
 * into a backup in a folder: all that they do is to look whether something has come. The task with many collections is a
 * process of tests/fakes that says once a second that it has them.
 *
 *     deno task bench server [--small] [--rest SECONDS] [--only-answers] [--only-rest] [--only-page]
 */
import { connectEtcd } from "../../stores/mod.ts";
import { REAL, type RunningServer, serverRig, untilState } from "../integration/server/server_rig.ts";
import { OwnEtcd } from "../integration/stores/etcd_process.ts";
import { startChromium } from "../stack/chromium.ts";
import { freePort } from "../stack/free_port.ts";
import { hasArgument, numberArgument } from "./arguments.ts";
import { note, until, usageOf } from "./rig.ts";
import { type Answers, ask, listenAll, type Standing, standing } from "./server_load.ts";
import { startShownServer, type View, view } from "./server_page.ts";
import { fixed, printFigure, quantile } from "./table.ts";

const CLIENTS = 20;
const TASKS = numberArgument("tasks", 200, 20);
const RUNNING = [10, 50].map((count) => Math.min(count, numberArgument("running", 50, 2)));
const REST_SECONDS = numberArgument("rest", 60, 2);
const COLLECTIONS = numberArgument("collections", 5000, 500);
const STATUSES = numberArgument("statuses", 200, 10);
const STREAMS = numberArgument("streams", 100, 10);
const EVENTS = numberArgument("events", 200, 10);
const STARTS = numberArgument("starts", 5, 1);
const VIEWS = numberArgument("views", 5, 1);
const SHOWN_TASKS = 500;
const COMMAND = "deno task bench server";

function serverFile(folder: string, listen = "127.0.0.1:0"): string {
  const server = { listen, requests_per_second: 100_000, allowed_paths: [folder] };
  return `server: ${JSON.stringify(server)}\n`;
}

/** One that has nothing to copy and follows a source in which nothing happens. */
function idleTask(name: string, etcd: string, folder: string) {
  return {
    pipeline: name,
    sources: {
      meta: { type: "etcd", endpoints: [etcd], root_path: "by-dev" },
      log: { type: "files", poll: "1s" },
      binlogs: { type: "file", path: `${folder}/files` },
    },
    transforms: { select: { allow_empty: true } },
    sinks: { vault: { type: "backup", storage: { type: "file", path: `${folder}/${name}` }, log_archive: false } },
  };
}

function latency(name: string, { ms, bytes }: Answers): string[] {
  return [name, fixed(quantile(ms, 0.5), 1), fixed(quantile(ms, 0.99), 1), fixed(bytes / 1024, 1)];
}

/** From the start of the process to the first 200 of /readyz. */
interface Start {
  readonly seconds: number;
  /** Seconds of the processor up to then. */
  readonly cpu: number;
}

async function startUp(state: string, folder: string): Promise<Start> {
  const port = freePort();
  const file = `${folder}/start.yaml`;
  await Deno.writeTextFile(file, `${serverFile(folder, `127.0.0.1:${port}`)}state: { type: file, path: ${state} }\n`);
  const began = performance.now();
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", ...REAL, file],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  try {
    await until("The start of the server", 120, async () => {
      try {
        const answer = await fetch(`http://127.0.0.1:${port}/readyz`);
        await answer.body?.cancel();
        return answer.status === 200;
      } catch {
        return false;
      }
    }, 5);
    return { seconds: (performance.now() - began) / 1000, cpu: usageOf(child.pid).cpu };
  } finally {
    child.kill("SIGTERM");
    await child.status;
  }
}

interface Created {
  readonly made: Answers;
  readonly starts: readonly Start[];
  readonly startsWithTasks: readonly Start[];
}

async function createMany(folder: string): Promise<Created> {
  const state = `${folder}/many`;
  const starts: Start[] = [];
  for (let i = 0; i < STARTS; i++) starts.push(await startUp(state, folder));
  await using rig = await serverRig(serverFile(folder), `{ type: file, path: ${state} }`, REAL);
  const server = await rig.start();
  note(`${TASKS} tasks by ${CLIENTS} clients`);
  const made = await ask(
    CLIENTS,
    TASKS,
    (at) =>
      server.request("POST", "/api/v1/tasks?wanted=paused", { config: idleTask(`t${at}`, "127.0.0.1:2379", folder) }),
  );
  await server.kill("SIGTERM");
  const startsWithTasks: Start[] = [];
  for (let i = 0; i < STARTS; i++) startsWithTasks.push(await startUp(state, folder));
  return { made, starts, startsWithTasks };
}

interface Rested {
  readonly tasks: number;
  readonly server: Standing;
  /** Of one of its tasks' processes. */
  readonly task: Standing | undefined;
}

async function rest(folder: string): Promise<Rested[]> {
  await using etcd = new OwnEtcd();
  await etcd.start();
  {
    await using client = connectEtcd({ endpoints: [etcd.address] });
    await client.put("by-dev/meta/root-coord/credential/users/root", `{"username":"root","password":"x"}`);
  }
  await Deno.mkdir(`${folder}/files`, { recursive: true });
  await using rig = await serverRig(serverFile(folder), `{ type: file, path: ${folder}/rest }`, REAL);
  const server = await rig.start();
  const rested: Rested[] = [];
  let there = 0;
  for (const tasks of [0, ...new Set(RUNNING)]) {
    for (; there < tasks; there++) {
      const made = await server.request("POST", "/api/v1/tasks", {
        config: idleTask(`r${there}`, etcd.address, folder),
      });
      if (!made.ok) throw new Error(await made.text());
      await made.body?.cancel();
    }
    const pids: number[] = [];
    for (let at = 0; at < tasks; at++) {
      await untilState(server, `r${at}`, "running");
      await until(
        `The base of r${at}`,
        600,
        async () => (await server.json(`/api/v1/tasks/r${at}`)).status.phase === "base",
      );
      pids.push((await server.json(`/api/v1/tasks/r${at}`)).pid);
    }
    note(`${tasks} tasks run`);
    const [own, ofTasks] = await Promise.all([
      standing([server.process.pid], REST_SECONDS),
      tasks === 0 ? undefined : standing(pids, REST_SECONDS),
    ]);
    rested.push({ tasks, server: own, task: ofTasks });
  }
  return rested;
}

interface Watched {
  readonly status: Answers;
  /** CPU seconds of the server, of one such request. */
  readonly statusCpu: number;
  /** With the one task that says its many collections every second. */
  readonly server: Standing;
}

async function wideStatus(server: RunningServer): Promise<Watched> {
  const name = `wide-${COLLECTIONS}`;
  const made = await server.request("POST", "/api/v1/tasks", { config: idleTask(name, "127.0.0.1:2379", "/") });
  if (!made.ok) throw new Error(await made.text());
  await made.body?.cancel();
  await until("Its status", 120, async () => {
    return (await server.json(`/api/v1/tasks/${name}`)).status?.collections.length === COLLECTIONS;
  });
  note(`${STATUSES} requests for ${COLLECTIONS} collections`);
  const own = await standing([server.process.pid], Math.min(REST_SECONDS, 30));
  const before = usageOf(server.process.pid).cpu;
  const began = performance.now();
  const status = await ask(1, STATUSES, () => server.request("GET", `/api/v1/tasks/${name}`));
  const seconds = (performance.now() - began) / 1000;
  const statusCpu = (usageOf(server.process.pid).cpu - before - own.cpu / 60 * seconds) / STATUSES;
  await (await server.request("DELETE", `/api/v1/tasks/${name}`)).body?.cancel();
  return { status, statusCpu, server: own };
}

interface Told {
  readonly ms: readonly number[];
  readonly lost: number;
  /** CPU seconds of the server for all of them. */
  readonly cpu: number;
  /** MiB: before the clients came, with them, when all was told. */
  readonly rss: readonly number[];
}

/** Events one after the other, as they come when a task is changed. */
async function events(server: RunningServer): Promise<Told> {
  const { pid } = server.process;
  const made = await server.request("POST", "/api/v1/tasks?wanted=paused", {
    config: idleTask("changed", "127.0.0.1:2379", "/"),
  });
  if (!made.ok) throw new Error(await made.text());
  await made.body?.cancel();
  const change = async () => {
    const changed = await server.request("PUT", "/api/v1/tasks/changed", { wanted: "paused" });
    if (!changed.ok) throw new Error(await changed.text());
    await changed.body?.cancel();
  };
  const before = usageOf(pid).rss;
  await using streams = await listenAll(server.url, STREAMS);
  note(`${EVENTS} events for ${STREAMS} clients`);
  const connected = usageOf(pid);
  for (let i = 0; i < EVENTS; i++) {
    await change();
    await streams.heard(i + 1);
  }
  const { ms, lost } = await streams.heard(EVENTS);
  const after = usageOf(pid);
  return { ms, lost, cpu: after.cpu - connected.cpu, rss: [before, connected.rss, after.rss] };
}

async function pageFigure(): Promise<void> {
  await using chromium = await startChromium();
  const rows: string[][] = [];
  const kib = (bytes: number) => fixed(bytes / 1024, 1);
  for (const [tasks, collections] of [[10, 3], [SHOWN_TASKS, COLLECTIONS]] as const) {
    await using server = await startShownServer(tasks, collections);
    for (
      const [what, path, selector] of [
        [`all tasks, ${tasks}`, "/", ".tasks .row a[href]"],
        [`a task of ${collections} collections`, "/#/task/blocked-0", ".collections .row span[title]"],
      ] as const
    ) {
      note(what);
      const views: View[] = [];
      for (let i = 0; i < VIEWS; i++) views.push(await view(chromium.browser, server.url + path, selector));
      const median = (pick: (one: View) => number) => quantile(views.map(pick), 0.5);
      rows.push([
        what,
        fixed(median(({ requests }) => requests), 0),
        kib(median(({ bytes }) => bytes)),
        kib(median(({ largest }) => largest)),
        fixed(median(({ painted }) => painted), 0),
        fixed(median(({ shown }) => shown), 0),
      ]);
    }
  }
  printFigure({
    title: "The server's page, at the first visit",
    command: COMMAND,
    head: ["", "requests", "KiB as sent", "largest answer of the API, KiB", "first paint, ms", "shown, ms"],
    rows,
    notes: [`Medians of ${VIEWS}, headless Chromium over the loopback interface; heads are included.`],
  });
}

async function withFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "tidemark-bench-server-" });
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function answers(): Promise<void> {
  await withFolder(async (folder) => {
    const { made, starts, startsWithTasks } = await createMany(folder);
    await using rig = await serverRig(serverFile("/"));
    const server = await rig.start();
    const told = await events(server);
    const wide = await wideStatus(server);
    printFigure({
      title: "Answers of the server",
      command: COMMAND,
      head: ["", "p50 ms", "p99 ms", "KiB"],
      rows: [
        latency(`${TASKS} tasks created by ${CLIENTS} clients at once`, made),
        latency(`status of ${COLLECTIONS} collections, one after the other`, wide.status),
        [
          `event until the last of ${STREAMS} clients has it`,
          ...latency("", { ms: told.ms, bytes: 0 }).slice(1, 3),
          "",
        ],
      ],
      notes: [
        `Of ${EVENTS} events ${told.lost} were lost; ${
          fixed(told.cpu / EVENTS / STREAMS * 1e6, 0)
        } CPU µs of the server for each event and client. RSS of the server: ${
          told.rss.map((mib) => fixed(mib, 0)).join(", ")
        } MiB before the clients came, with them, and when all was told.`,
        `Such a status takes ${
          fixed(wide.statusCpu * 1000, 1)
        } CPU ms of the server; a task that says it every second ${fixed(wide.server.cpu)} CPU s a minute.`,
        "The tasks are created paused: what is timed is the check, the storing and the answer.",
      ],
    });
    const start = (name: string, all: readonly Start[]) => [
      name,
      fixed(quantile(all.map(({ seconds }) => seconds), 0.5)),
      fixed(quantile(all.map(({ cpu }) => cpu), 0.5)),
    ];
    printFigure({
      title: "Start of the server until /readyz says yes",
      command: COMMAND,
      head: ["", "s", "CPU s"],
      rows: [start("without tasks", starts), start(`with ${TASKS} paused tasks`, startsWithTasks)],
      notes: [`Medians of ${STARTS}.`],
    });
  });
}

async function restFigure(): Promise<void> {
  await withFolder(async (folder) => {
    const cells = ({ rss, cpu }: Standing) => [fixed(rss, 0), fixed(cpu)];
    printFigure({
      title: "The server at rest",
      command: COMMAND,
      head: ["tasks that run", "server RSS MiB", "CPU s a minute", "a task's process: RSS MiB", "CPU s a minute"],
      rows: (await rest(folder)).map(({ tasks, server, task }) => [
        String(tasks),
        ...cells(server),
        ...task === undefined ? ["", ""] : cells(task),
      ]),
      notes: [
        "The tasks are runs of a source without collections, a real etcd and a folder, into a backup in a folder.",
      ],
    });
  });
}

if (import.meta.main) {
  const parts = Object.entries({ "only-answers": answers, "only-rest": restFigure, "only-page": pageFigure });
  const wanted = parts.filter(([name]) => hasArgument(name));
  for (const [, make] of wanted.length > 0 ? wanted : parts) await make();
}
