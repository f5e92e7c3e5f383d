/** The server beside one run: the same page, reading requests, metrics and health for its one pipeline. */
import type { ListenConfig } from "../../config/mod.ts";
import type { RunStatus } from "../../pipeline/model/mod.ts";
import { addReadApi } from "./api_read.ts";
import { createApp } from "./app.ts";
import { tokensOf } from "./auth.ts";
import { ddlText } from "./ddl_text.ts";
import { createDoors } from "./doors.ts";
import { addDocs } from "./docs_page.ts";
import { EventHub } from "./events.ts";
import { addHealth } from "./health.ts";
import { History } from "./history.ts";
import { currentLagMs } from "./lag.ts";
import { startHeartbeat } from "./heartbeat.ts";
import { listen } from "./listen.ts";
import { addMetrics } from "./metrics_route.ts";
import { notable } from "./notable.ts";
import { addPage } from "./page.ts";
import { Ring } from "./ring.ts";
import { stateOfStatus } from "./runner.ts";
import { type Watched, watchedList } from "./watched.ts";
import { type NotificationResult, startWebhooks } from "./webhooks.ts";
import type { Json } from "../../pipeline/json.ts";
import type { LogLine } from "./worker.ts";

export interface SidecarOptions {
  readonly config: ListenConfig;
  readonly pipeline: string;
  /** The configuration as it may be shown. */
  readonly masked: Readonly<Record<string, unknown>>;
  readonly redact: (text: string) => string;
  readonly status: () => RunStatus;
  readonly now: () => Date;
  readonly onTrouble: (message: string) => void;
}

export interface Sidecar extends AsyncDisposable {
  readonly url: string;
  log(line: LogLine): void;
  ddl(change: Json): void;
  /** The run ended by an error, which nobody asked for. */
  failed(reason: string): void;
}

const LOOK_MS = 1000;

/** Listens until it is disposed. Throws `config` for an address that is taken. */
export function startSidecar(options: SidecarOptions): Sidecar {
  const { config, pipeline, now, status } = options;
  const events = new EventHub(now);
  const logs = new Ring<LogLine>(2000);
  const ddl = new Ring<Json>(500);
  const history = new History();
  const began = now().toISOString();
  // What a server says of itself is its own: it may name what it was given.
  const emit: EventHub["emit"] = (type, of, message) => events.emit(type, of, options.redact(message));
  const told = notable({ emit }, pipeline, config.lag_threshold);
  let said = "";
  const look = () => {
    const seen = status();
    history.add(seen, now().getTime());
    told.hear(seen);
    const { state, reason } = stateOfStatus(seen);
    const text = reason === "" ? state : `${state}: ${reason}`;
    if (text !== said) emit("task.state", pipeline, said = text);
  };
  const timer = setInterval(look, LOOK_MS);
  const task = (): Watched => {
    const seen = status();
    return {
      record: { name: pipeline, version: 1, wanted: "running", createdAt: began, updatedAt: began },
      runner: {
        ...stateOfStatus(seen),
        pid: Deno.pid,
        status: seen,
        restarts: 0,
        lastEnd: undefined,
        nextStartAt: undefined,
        logs,
        ddl,
        history,
      },
      checked: { masked: options.masked as never, redact: Object.assign(options.redact, { known: 0 }) },
    };
  };
  const closing = new AbortController();
  const answered = new Map<string, number>();
  const notifications = new Map<NotificationResult, number>();
  const app = createApp({
    answered,
    doors: createDoors({ config, tokens: () => tokens, now: () => now().getTime() }),
    onTrouble: (error) => options.onTrouble(`A request failed: ${(error as Error).message}`),
  });
  const tokens = tokensOf(config);
  addReadApi({ app, tasks: watchedList(() => [task()]), events, closing: closing.signal, now });
  addMetrics(app, { tasks: () => [task()], answered, notifications, now });
  addDocs(app);
  addPage(app);
  const notReady = () => {
    const seen = status();
    const lag = currentLagMs(seen, now().getTime());
    if (["starting", "snapshot", "waiting"].includes(seen.phase)) return `The run is ${seen.phase}`;
    return lag > config.lag_threshold ? `The run is ${Math.round(lag / 1000)} s behind` : undefined;
  };
  addHealth(app, { notReady });
  const listening = listen(app, config);
  const log = { warning: options.onTrouble, error: options.onTrouble };
  const webhooks = startWebhooks({ webhooks: config.webhooks, events, now, log, counts: notifications });
  const heartbeat = startHeartbeat({ heartbeat: config.heartbeat, notReady, log });
  return {
    url: listening.url,
    log: (line) => logs.add(line),
    ddl: (change) => {
      ddl.add(change);
      emit("task.ddl", pipeline, ddlText(change));
    },
    failed: (reason) => emit("task.failed", pipeline, `The run ended: ${reason}`),
    [Symbol.asyncDispose]: async () => {
      clearInterval(timer);
      // What came last is told, too.
      look();
      closing.abort();
      await heartbeat[Symbol.asyncDispose]();
      await webhooks[Symbol.asyncDispose]();
      await listening[Symbol.asyncDispose]();
    },
  };
}
