/** Keeps one task as it is wanted: starts its process, starts it again when it ends, says why. */
import type { Json } from "../../pipeline/json.ts";
import { EXIT } from "../../pipeline/errors.ts";
import type { RunStatus } from "../../pipeline/model/mod.ts";
import { parseStatus } from "../parse_status.ts";
import { History } from "./history.ts";
import { Ring } from "./ring.ts";
import type { LogLine, Worker, WorkerEnd } from "./worker.ts";

/**
 * `starting`: its process runs and has said nothing yet; `running`; `waiting`: for a server; `blocked`: all or some of its
 * collections are held; `backing_off`: it ended and is started again at `nextStartAt`; `stopping`; `paused`; `failed`: it ended
 * in a way that starting again does not mend; `done`: it ended where it was told to.
 */
export const TASK_STATES = [
  "starting",
  "running",
  "waiting",
  "blocked",
  "backing_off",
  "stopping",
  "paused",
  "failed",
  "done",
] as const;
export type TaskState = typeof TASK_STATES[number];

export interface LastEnd {
  readonly at: string;
  readonly code: number;
  readonly reason: string;
  readonly hint: string | undefined;
}

export interface RunnerOptions {
  /** Starts the process; throws what keeps it from being started. */
  readonly start: (hear: {
    onStatus: (status: Json) => void;
    onDdl: (ddl: Json) => void;
    onLog: (line: LogLine) => void;
  }) => Promise<Worker>;
  readonly restartAfterMs: number;
  readonly restartMaxMs: number;
  readonly now: () => Date;
  readonly onState: (state: TaskState, reason: string) => void;
  readonly onRestart: (reason: string) => void;
  readonly onStatus: (status: RunStatus, before: RunStatus | undefined) => void;
  readonly onDdl: (ddl: Json) => void;
}

/** What no restart mends: configuration, usage, a lost position, damage. */
const FINAL: readonly number[] = [EXIT.usage, EXIT.config, EXIT.positionLost, EXIT.damage];
/** A run of so long was a good one: the wait before the next restart begins anew. */
const WELL_MS = 60_000;

export class TaskRunner {
  readonly logs = new Ring<LogLine>(2000);
  readonly ddl = new Ring<Json>(500);
  readonly history = new History();
  status: RunStatus | undefined;
  restarts = 0;
  lastEnd: LastEnd | undefined;
  nextStartAt: string | undefined;
  readonly #options: RunnerOptions;
  #state: TaskState = "paused";
  #reason = "";
  #wanted = false;
  #worker: Worker | undefined;
  #failures = 0;
  #loop: Promise<void> | undefined;
  #wake: (() => void) | undefined;

  constructor(options: RunnerOptions) {
    this.#options = options;
  }

  get state(): TaskState {
    return this.#state === "running" && this.status !== undefined ? stateOfStatus(this.status).state : this.#state;
  }

  /** Why it is in this state, as a sentence; empty where there is nothing to say. */
  get reason(): string {
    return this.#state === "running" && this.status !== undefined ? stateOfStatus(this.status).reason : this.#reason;
  }

  get pid(): number | undefined {
    return this.#worker?.pid;
  }

  /** Runs it from now on; one that failed is tried again. */
  resume(): void {
    this.#wanted = true;
    this.#failures = 0;
    this.#wake?.();
    this.#loop ??= this.#run().finally(() => this.#loop = undefined);
  }

  /** Resolves when its process has ended. */
  async pause(reason = ""): Promise<void> {
    this.#wanted = false;
    this.#wake?.();
    if (this.#worker !== undefined) {
      this.#say("stopping", "It finishes what it has read");
      this.#worker.stop();
    }
    await this.#loop;
    this.#say("paused", reason);
  }

  /** At once, without a checkpoint: the lease is lost. */
  kill(): void {
    this.#wanted = false;
    this.#wake?.();
    this.#worker?.kill();
  }

  async #run(): Promise<void> {
    while (this.#wanted) {
      const began = this.#options.now().getTime();
      this.nextStartAt = undefined;
      this.#say("starting", "");
      const end = await this.#once();
      if (!this.#wanted) return;
      if (end.code === EXIT.ok) return this.#stay("done", "It has reached its end");
      this.#fail(end, began);
      if (FINAL.includes(end.code)) return this.#stay("failed", this.lastEnd!.reason);
      await this.#backOff();
    }
  }

  async #once(): Promise<WorkerEnd> {
    try {
      this.#worker = await this.#options.start({
        onStatus: (json) => {
          const status = parseStatus(json);
          if (status === undefined) return;
          const before = this.status;
          this.status = status;
          this.history.add(status, this.#options.now().getTime());
          if (this.#state === "starting") this.#say("running", "");
          this.#options.onStatus(status, before);
        },
        onDdl: (ddl) => {
          this.ddl.add(ddl);
          this.#options.onDdl(ddl);
        },
        onLog: (line) => this.logs.add(line),
      });
      if (!this.#wanted) this.#worker.stop();
      return await this.#worker.end;
    } catch (error) {
      const { code = "unexpected", message, hint, exitCode = EXIT.unexpected } = error as Error & {
        code?: string;
        hint?: string;
        exitCode?: number;
      };
      return { code: exitCode, signal: undefined, stuck: false, result: undefined, error: { code, message, hint } };
    } finally {
      this.#worker = undefined;
    }
  }

  #fail(end: WorkerEnd, began: number): void {
    const now = this.#options.now();
    if (now.getTime() - began >= WELL_MS) this.#failures = 0;
    this.#failures++;
    this.restarts++;
    this.lastEnd = {
      at: now.toISOString(),
      code: end.code,
      reason: reasonOf(end, this.logs),
      hint: end.error?.hint,
    };
  }

  async #backOff(): Promise<void> {
    const { restartAfterMs, restartMaxMs } = this.#options;
    const delay = Math.min(restartMaxMs, restartAfterMs * 2 ** Math.min(20, this.#failures - 1));
    this.nextStartAt = new Date(this.#options.now().getTime() + delay).toISOString();
    this.#say("backing_off", this.lastEnd!.reason);
    this.#options.onRestart(this.lastEnd!.reason);
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, delay);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = undefined;
    this.nextStartAt = undefined;
  }

  #stay(state: TaskState, reason: string): void {
    this.#wanted = false;
    this.#say(state, reason);
  }

  #say(state: TaskState, reason: string): void {
    if (state === this.#state && reason === this.#reason) return;
    this.#state = state;
    this.#reason = reason;
    this.#options.onState(state, reason);
  }
}

/** What a status of a process that runs means for its task, and why as a sentence. */
export function stateOfStatus(status: RunStatus): { readonly state: TaskState; readonly reason: string } {
  const blocked = status.collections.find(({ phase }) => phase === "blocked");
  if (blocked !== undefined) {
    return { state: "blocked", reason: `${blocked.db}.${blocked.name}: ${blocked.blockedReason ?? "it is held"}` };
  }
  const held = status.sinks.find(({ state }) => state === "held");
  if (held !== undefined) return { state: "blocked", reason: `sinks.${held.name} is held: ${held.reason}` };
  const [wait] = status.waits;
  if (wait !== undefined) return { state: "waiting", reason: `${wait.component}: ${wait.reason}` };
  if (status.phase === "done") return { state: "done", reason: "It has reached its end" };
  return { state: status.phase === "waiting" ? "waiting" : "running", reason: "" };
}

function reasonOf(end: WorkerEnd, logs: Ring<LogLine>): string {
  if (end.stuck) return "It said nothing for too long and was ended";
  if (end.error !== undefined) return end.error.message;
  if (end.code === EXIT.partial) return "It ended with parts that are blocked or were refused";
  const said = logs.list().slice(-20).map(({ message }) => message).join("\n");
  if (/heap out of memory|Reached heap limit/.test(said)) return "It needed more memory than tasks.memory allows";
  return end.signal === undefined
    ? `Its process ended with status ${end.code}`
    : `Its process was ended by ${end.signal}`;
}
