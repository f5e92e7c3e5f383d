/** Commands that end by themselves, as jobs: `plan`, `check`, `verify`, the backups of a task. Each is a process of its own. */
import type { Json } from "../../pipeline/json.ts";
import { EXIT } from "../../pipeline/errors.ts";
import type { EventHub } from "./events.ts";
import { Fault } from "./fault.ts";
import type { Task, Tasks } from "./tasks.ts";
import type { LogLine, Worker } from "./worker.ts";

export const JOB_KINDS = ["plan", "check", "verify", "backups"] as const;
export type JobKind = typeof JOB_KINDS[number];
export const JOB_STATES = ["waiting", "running", "done", "failed", "cancelled"] as const;
export type JobState = typeof JOB_STATES[number];

export interface Job {
  readonly id: string;
  readonly task: string;
  readonly kind: JobKind;
  state: JobState;
  /** The last thing that it said. */
  progress: string;
  readonly createdAt: string;
  endedAt: string | undefined;
  /** Exit status of the command. */
  exit: number | undefined;
  result: Json | undefined;
  error: { readonly code: string; readonly message: string; readonly hint: string | undefined } | undefined;
}

export interface JobRequest {
  readonly kind: JobKind;
  /** `verify` compares only the numbers of rows. */
  readonly counts: boolean;
}

/** Jobs that have ended and are still shown. */
const KEPT = 100;
/** Jobs that wait for their turn. */
const WAITING = 100;

export class Jobs {
  readonly #tasks: Tasks;
  readonly #events: EventHub;
  readonly #now: () => Date;
  readonly #atOnce: number;
  readonly #jobs = new Map<string, Job>();
  readonly #workers = new Map<string, Worker>();
  readonly #queue: (() => void)[] = [];
  #running = 0;

  constructor(options: { tasks: Tasks; events: EventHub; now: () => Date; atOnce: number }) {
    this.#tasks = options.tasks;
    this.#events = options.events;
    this.#now = options.now;
    this.#atOnce = options.atOnce;
  }

  list(task?: string): Job[] {
    return [...this.#jobs.values()].filter((job) => task === undefined || job.task === task).reverse();
  }

  /** Throws 404. */
  get(id: string): Job {
    const job = this.#jobs.get(id);
    if (job === undefined) {
      throw new Fault(404, "not_found", `There is no job ${id}`, {
        hint: `The last ${KEPT} are kept, and none over a restart of the server.`,
      });
    }
    return job;
  }

  /** Throws 429 where too many wait. */
  begin(task: Task, request: JobRequest): Job {
    if (this.#queue.length >= WAITING) {
      throw new Fault(429, "throttled", `${WAITING} jobs wait already`, { hint: "Ask again when some have ended." });
    }
    const job: Job = {
      id: crypto.randomUUID(),
      task: task.record.name,
      kind: request.kind,
      state: "waiting",
      progress: "",
      createdAt: this.#now().toISOString(),
      endedAt: undefined,
      exit: undefined,
      result: undefined,
      error: undefined,
    };
    this.#jobs.set(job.id, job);
    this.#forgetOld();
    this.#queue.push(() => void this.#run(job, task, request));
    this.#next();
    return job;
  }

  /** One that has ended stays as it is. */
  cancel(id: string): Job {
    const job = this.get(id);
    if (job.state === "waiting") this.#end(job, "cancelled");
    else if (job.state === "running") {
      job.state = "cancelled";
      this.#workers.get(id)?.stop();
    }
    return job;
  }

  async close(): Promise<void> {
    for (const job of this.#jobs.values()) if (job.endedAt === undefined) this.cancel(job.id);
    await Promise.all([...this.#workers.values()].map((worker) => worker.end));
  }

  kill(): void {
    for (const worker of this.#workers.values()) worker.kill();
  }

  #next(): void {
    while (this.#running < this.#atOnce && this.#queue.length > 0) this.#queue.shift()!();
  }

  async #run(job: Job, task: Task, request: JobRequest): Promise<void> {
    if (job.state !== "waiting") return;
    this.#running++;
    job.state = "running";
    this.#events.emit("job.started", job.task, `${job.kind} began`);
    try {
      const worker = await this.#tasks.start(task.checked, commandOf(request), {
        onLog: ({ message }: LogLine) => job.progress = message,
        onStatus: () => {},
      });
      this.#workers.set(job.id, worker);
      // It may have been cancelled while its process was started.
      if (this.get(job.id).state === ("cancelled" as JobState)) worker.stop();
      const end = await worker.end;
      job.exit = end.code;
      job.result = end.result;
      job.error = end.error;
      // A command that has a result has done its work, whatever it found.
      this.#end(job, end.result !== undefined || end.code === EXIT.ok ? "done" : "failed");
    } catch (error) {
      const fault = error as Fault;
      job.error = { code: fault.code ?? "unexpected", message: fault.message, hint: fault.hint };
      this.#end(job, "failed");
    } finally {
      this.#workers.delete(job.id);
      this.#running--;
      this.#next();
    }
  }

  #end(job: Job, state: JobState): void {
    if (job.state !== "cancelled") job.state = state;
    job.endedAt = this.#now().toISOString();
    this.#events.emit("job.ended", job.task, `${job.kind}: ${job.state}`);
    if (job.kind === "verify" && job.state !== "cancelled" && job.exit !== EXIT.ok) {
      this.#events.emit("verify.failed", job.task, job.error?.message ?? "Source and target are not equal");
    }
  }

  #forgetOld(): void {
    const ended = [...this.#jobs.values()].filter(({ endedAt }) => endedAt !== undefined);
    for (const { id } of ended.slice(0, Math.max(0, ended.length - KEPT))) this.#jobs.delete(id);
  }
}

function commandOf({ kind, counts }: JobRequest): string[] {
  if (kind === "backups") return ["backup", "list", "--moments"];
  return kind === "verify" && counts ? ["verify", "--counts"] : [kind];
}
