/** A server of many tasks. */
import { leveled } from "../log.ts";
import type { ServerFile } from "../../config/mod.ts";
import { createAccess, type Resolve } from "./access.ts";
import { addMetrics } from "./metrics_route.ts";
import { addPage } from "./page.ts";
import { addReadApi } from "./api_read.ts";
import { addWriteApi } from "./api_write.ts";
import { createApp } from "./app.ts";
import { type KnownToken, tokensOf } from "./auth.ts";
import { serverCrashPoint } from "./crash.ts";
import { addCdc, CDC_PATH, CdcService, checkCdcSources, reach } from "./cdc/mod.ts";
import { createDoors } from "./doors.ts";
import { EventHub } from "./events.ts";
import { Fault } from "./fault.ts";
import { addDocs } from "./docs_page.ts";
import { addHealth } from "./health.ts";
import { startHeartbeat } from "./heartbeat.ts";
import { listen } from "./listen.ts";
import { runEnvironment } from "./run_environment.ts";
import { sealWith } from "./seal.ts";
import { holdTerms, type Term } from "./term.ts";
import { watchedList } from "./watched.ts";
import { type NotificationResult, startWebhooks } from "./webhooks.ts";

export interface ServeOptions {
  readonly file: ServerFile;
  /** `cdc.sources` as it is written, where the file has `cdc`. */
  readonly cdcSources?: unknown;
  readonly variable: (name: string) => string | undefined;
  readonly now: () => Date;
  readonly log: { info(message: string): void; warning(message: string): void; error(message: string): void };
  /** Told the address when it listens. */
  readonly onListen?: (url: string) => void;
  /** What a task's process is, default this program; for tests. */
  readonly program?: readonly string[];
  readonly resolve?: Resolve;
}

/** Serves until `stop` fires. Throws `config`, `damaged`. */
export async function serve(options: ServeOptions, stop: AbortSignal): Promise<void> {
  const { file, now } = options;
  const { log, setLevel } = leveled(options.log);
  const events = new EventHub(now);
  const configured = tokensOf(file.server);
  let term: Term | undefined;
  const doors = createDoors({
    config: file.server,
    tokens: (): KnownToken[] => [...configured, ...term?.book.tokens.values() ?? []],
    now: () => now().getTime(),
  });
  const answered = new Map<string, number>();
  const notifications = new Map<NotificationResult, number>();
  const onTrouble = (error: unknown) => log.error(`A request failed: ${(error as Error).stack ?? error}`);
  const app = createApp({
    answered,
    doors,
    isOpen: (request, path, address) =>
      path === CDC_PATH && file.cdc?.loopback_without_token === true && doors.isFromHere(request, address),
    onTrouble,
  });
  const mine = <K extends keyof Term>(key: K) => (): Term[K] => {
    if (term === undefined) {
      throw new Fault(503, "standby", "Another server runs the tasks, or this one has just begun", {
        hint: "Ask the other one, or again in a moment.",
      });
    }
    return term[key];
  };
  addReadApi({ app, tasks: watchedList(() => mine("tasks")().list()), events, closing: stop, now });
  addMetrics(app, { tasks: () => term?.tasks.list() ?? [], answered, notifications, now });
  addDocs(app);
  addPage(app);
  addWriteApi({ app, tasks: mine("tasks"), jobs: mine("jobs"), book: mine("book"), now });
  if (file.cdc !== undefined) {
    const { cdc } = file;
    const service = new CdcService({
      config: cdc,
      sources: options.cdcSources,
      tasks: mine("tasks"),
      reach: (tasks, checked, { milvus_connect_param }) => reach(tasks, checked, milvus_connect_param.connect_timeout),
      setLevel,
      onTrouble,
    });
    addCdc(app, service, (request, address, role) => {
      if (!cdc.loopback_without_token || !doors.isFromHere(request, address)) doors.requireRole(request, role);
    });
  }
  const notReady = () => term === undefined ? "Another server runs the tasks" : undefined;
  addHealth(app, { notReady });
  const access = createAccess({ hosts: file.server.allowed_hosts, paths: file.server.allowed_paths }, options.resolve);
  const environment = runEnvironment({
    file,
    variable: options.variable,
    ...(options.program === undefined ? {} : { program: options.program }),
  });
  if (file.cdc !== undefined) await checkCdcSources(options.cdcSources, { access, lookup: environment.lookup });
  const { key_file } = file.server;
  const seal = key_file === undefined ? undefined : sealWith(await Deno.readFile(key_file));
  const passed = serverCrashPoint(options.variable("TIDEMARK_SERVER_CRASH_AT"));
  await using listening = listen(app, file.server);
  await using _webhooks = startWebhooks({ webhooks: file.server.webhooks, events, now, log, counts: notifications });
  await using _heartbeat = startHeartbeat({ heartbeat: file.server.heartbeat, notReady, log });
  log.info(`Listens at ${listening.url}`);
  options.onListen?.(listening.url);
  await holdTerms(
    { file, access, events, environment, seal, now, passed, log, onTerm: (mine) => term = mine },
    stop,
  );
}
