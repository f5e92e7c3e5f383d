/** The tasks of a server: what is stored, what runs, and what a request may do with them. */
import { type CheckedText, checkTaskText, type ServerFile } from "../../config/mod.ts";
import { formatJson, type Json } from "../../pipeline/json.ts";
import type { RunStatus } from "../../pipeline/model/mod.ts";
import type { Access } from "./access.ts";
import type { TaskBook, TaskRecord, Wanted } from "./book.ts";
import type { CdcTask } from "./cdc/task.ts";
import type { ServerCrashPoint } from "./crash.ts";
import { ddlText } from "./ddl_text.ts";
import type { EventHub } from "./events.ts";
import { Fault, type FaultProblem } from "./fault.ts";
import { type Notable, notable } from "./notable.ts";
import { hasOwnState } from "./own_state.ts";
import { keepSecrets, maskProblems } from "./masks.ts";
import { TaskRunner } from "./runner.ts";
import type { RunEnvironment } from "./run_environment.ts";
import type { Worker } from "./worker.ts";
import { plural } from "../../pipeline/units/mod.ts";

export interface TasksOptions {
  readonly file: ServerFile;
  readonly book: TaskBook;
  readonly access: Access;
  readonly events: EventHub;
  readonly environment: RunEnvironment;
  readonly now: () => Date;
  readonly passed: (point: ServerCrashPoint) => void;
  /** Removes what the run of a task remembers. */
  readonly removeState: (checked: CheckedText) => Promise<void>;
  readonly onTrouble: (message: string) => void;
}

export interface CreateOptions {
  readonly wanted: Wanted;
  readonly key?: string;
  /** Where it comes by `POST /cdc`. */
  readonly cdc?: CdcTask;
}

export interface Task {
  readonly record: TaskRecord;
  readonly runner: TaskRunner;
  readonly checked: CheckedText;
}

interface OwnTask {
  record: TaskRecord;
  checked: CheckedText;
  readonly runner: TaskRunner;
  readonly notable: Notable;
}

export class Tasks {
  readonly #o: TasksOptions;
  readonly #tasks = new Map<string, OwnTask>();
  /** Changes of one task follow each other. */
  readonly #turns = new Map<string, Promise<unknown>>();
  #closed = false;

  constructor(options: TasksOptions) {
    this.#o = options;
  }

  /** Takes up what is stored, after a restart too: tasks that are wanted run, tasks that were to go, go. */
  resumeAll(): void {
    for (const stored of this.#o.book.tasks.values()) {
      const record = this.#atStart(stored);
      this.#take(record, this.check(record.config));
      if (record.deleting !== undefined) {
        this.#turn(record.name, () => this.#finishRemoval(record.name))
          .catch((error) => this.#o.onTrouble(`${record.name} could not be removed: ${(error as Error).message}`));
      } else if (record.wanted === "running") this.#tasks.get(record.name)!.runner.resume();
    }
  }

  list(): Task[] {
    return [...this.#tasks.values()].filter(({ record }) => record.deleting === undefined);
  }

  /** Throws 404. */
  get(name: string): Task {
    const task = this.#tasks.get(name);
    if (task === undefined || task.record.deleting !== undefined) {
      throw new Fault(404, "not_found", `There is no task ${name}`, { hint: "GET /api/v1/tasks lists them." });
    }
    return task;
  }

  check(text: string): CheckedText {
    return checkTaskText(text, {
      environment: this.#o.environment.lookup,
      readText: (path) => {
        if (!this.#o.access.mayRead(path)) throw new Deno.errors.PermissionDenied(path);
        return Deno.readTextFileSync(path);
      },
    });
  }

  /** Every problem of a configuration at once. Throws 422. */
  async checkAll(text: string): Promise<CheckedText> {
    const checked = this.check(text);
    const problems: FaultProblem[] = [...checked.problems, ...maskProblems(checked.plain)];
    if (checked.config !== undefined) {
      const { server, ...rest } = checked.config;
      if (server !== undefined) problems.push({ pointer: "/server", message: "A task has no server of its own" });
      // A task that names no state gets the server's own, which is not asked.
      const given = hasOwnState(checked) ? rest : { ...rest, state: undefined };
      problems.push(...await this.#o.access.check(given));
    }
    if (problems.length === 0) return checked;
    const many = plural(problems.length, "one problem", `${problems.length} problems`);
    throw new Fault(422, "config", `The configuration has ${many}`, { problems });
  }

  /** The same name with the same configuration again is the same task; `created` says which it was. Throws 409, 422. */
  async create(text: string, options: CreateOptions): Promise<{ readonly task: Task; readonly created: boolean }> {
    const checked = await this.checkAll(text);
    const name = checked.config!.pipeline;
    return await this.#turn(name, async () => {
      const byKey = options.key === undefined ? undefined : this.#withKey(options.key);
      const there = byKey ?? this.#tasks.get(name);
      if (there !== undefined) {
        const same = there.record.name === name && there.record.deleting === undefined &&
          formatJson(there.checked.plain) === formatJson(checked.plain);
        if (same) return { task: there, created: false };
        throw byKey === undefined
          ? new Fault(409, "exists", `There is a task ${name} with another configuration`, {
            hint: `Change it with PUT /api/v1/tasks/${name}, or choose another name.`,
          })
          : new Fault(409, "idempotency", `This Idempotency-Key made the task ${there.record.name} with another body`, {
            hint: "Use a new key for a new request.",
          });
      }
      const at = this.#o.now().toISOString();
      const record: TaskRecord = {
        name,
        version: 1,
        wanted: options.wanted,
        config: text,
        createdAt: at,
        updatedAt: at,
        ...(options.key === undefined ? {} : { key: options.key }),
        ...(options.cdc === undefined ? {} : { cdc: options.cdc }),
      };
      this.#o.passed("accepted");
      await this.#o.book.put(record);
      this.#o.passed("stored");
      const task = this.#take(record, checked);
      this.#o.events.emit("task.created", name, `The task ${name} was created, ${options.wanted}`);
      if (record.wanted === "running") task.runner.resume();
      return { task, created: true };
    });
  }

  /**
   * Another configuration, another wanted state, or both; a task that runs is started again. `reason`: why, where it is one of
   * `/cdc`. Throws 404, 409, 412, 422.
   */
  async update(
    name: string,
    change: { readonly config?: string; readonly wanted?: Wanted; readonly reason?: string },
    expected?: number,
  ): Promise<Task> {
    const text = change.config === undefined ? undefined : keepSecrets(change.config, this.get(name).checked.plain);
    const checked = text === undefined ? undefined : await this.checkAll(text);
    if (checked !== undefined && checked.config!.pipeline !== name) {
      throw new Fault(422, "config", `The configuration is of ${checked.config!.pipeline}, not of ${name}`, {
        problems: [{ pointer: "/pipeline", message: `Expected ${name}: a task keeps its name` }],
      });
    }
    return await this.#turn(name, async () => {
      const task = this.#tasks.get(name)!;
      const { record } = this.get(name);
      if (expected !== undefined && expected !== record.version) {
        throw new Fault(412, "changed", `The task ${name} has changed meanwhile: it is at version ${record.version}`, {
          hint: "Read it again, and send its ETag as If-Match.",
        });
      }
      const next: TaskRecord = {
        ...record,
        version: record.version + 1,
        wanted: change.wanted ?? record.wanted,
        config: text ?? record.config,
        updatedAt: this.#o.now().toISOString(),
        ...(record.cdc === undefined ? {} : { cdc: { ...record.cdc, reason: change.reason ?? "" } }),
      };
      await this.#o.book.put(next);
      task.record = next;
      if (checked !== undefined) task.checked = checked;
      this.#o.events.emit("task.updated", name, `The task ${name} is to be ${next.wanted}`);
      if (next.wanted === "paused" || text !== undefined) await task.runner.pause();
      if (next.wanted === "running" && !this.#closed) task.runner.resume();
      return task;
    });
  }

  /** Stored first that it is to go, so that it goes even where the server dies meanwhile. */
  async remove(name: string, withState: boolean): Promise<void> {
    await this.#turn(name, async () => {
      const task = this.#tasks.get(name)!;
      const { record } = this.get(name);
      const next: TaskRecord = { ...record, deleting: withState ? "with_state" : "keep_state" };
      await this.#o.book.put(next);
      task.record = next;
      await this.#finishRemoval(name);
    });
  }

  /** To be called again and again: who says nothing any more is behind, too. */
  look(): void {
    const now = this.#o.now().getTime();
    for (const { record, notable } of this.#tasks.values()) if (record.wanted === "running") notable.look(now);
  }

  /** Drains all; what is stored stays as it is. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#tasks.values()].map(({ runner }) => runner.pause("The server ends")));
  }

  /** At once: another server may have taken over. */
  kill(): void {
    this.#closed = true;
    for (const { runner } of this.#tasks.values()) runner.kill();
  }

  /** Starts a command of Tidemark for a task, as a process of its own. Throws 403 where it names what is not allowed. */
  async start(
    checked: CheckedText,
    command: readonly string[],
    hear: Pick<Parameters<RunEnvironment["start"]>[0], "onStatus" | "onDdl" | "onLog" | "stuckAfterMs">,
  ): Promise<Worker> {
    if (checked.config === undefined) {
      throw new Fault(422, "config", "The configuration has problems", { problems: checked.problems });
    }
    const given = hasOwnState(checked) ? checked.config : { ...checked.config, state: undefined };
    const [problem] = await this.#o.access.check(given);
    if (problem !== undefined) throw new Fault(403, "forbidden", problem.message, { problems: [problem] });
    return this.#o.environment.start({ ...hear, checked, command });
  }

  /** A task of `/cdc` may ask to stay where it is when the server has started. */
  #atStart(record: TaskRecord): TaskRecord {
    if (record.cdc?.disableAutoStart !== true || record.wanted === "paused" || record.deleting !== undefined) {
      return record;
    }
    const cdc = { ...record.cdc, reason: "the task is disabled auto start" };
    const paused: TaskRecord = { ...record, version: record.version + 1, wanted: "paused", cdc };
    this.#o.book.put(paused).catch((error) =>
      this.#o.onTrouble(`${record.name} is paused, which could not be stored: ${error}`)
    );
    return paused;
  }

  #withKey(key: string) {
    return [...this.#tasks.values()].find(({ record }) => record.key === key);
  }

  async #finishRemoval(name: string): Promise<void> {
    const task = this.#tasks.get(name)!;
    await task.runner.pause();
    this.#o.passed("stopped");
    if (task.record.deleting === "with_state" && task.checked.config !== undefined) {
      await this.#o.removeState(task.checked);
    }
    this.#o.passed("state_deleted");
    await this.#o.book.remove(name);
    this.#tasks.delete(name);
    this.#o.events.emit("task.deleted", name, `The task ${name} is gone`);
  }

  #take(record: TaskRecord, checked: CheckedText) {
    const { file, events, now } = this.#o;
    const { name } = record;
    // What a process says of itself is its own: it may name what it was given.
    const emit: EventHub["emit"] = (type, of, message) => events.emit(type, of, task.checked.redact(message));
    const told = notable({ emit }, name, file.server.lag_threshold);
    const runner: TaskRunner = new TaskRunner({
      start: (hear) => this.start(task.checked, ["run"], { ...hear, stuckAfterMs: file.tasks.stuck_after }),
      restartAfterMs: file.tasks.restart_after,
      restartMaxMs: file.tasks.restart_max,
      now,
      onState: (state, reason) => {
        emit("task.state", name, reason === "" ? state : `${state}: ${reason}`);
        if (state === "failed") emit("task.failed", name, `It ended and is not started again: ${reason}`);
      },
      onRestart: (reason) => emit("task.restarted", name, `Started again: ${reason}`),
      onStatus: (status: RunStatus) => told.hear(status),
      onDdl: (ddl: Json) => emit("task.ddl", name, ddlText(ddl)),
    });
    const task: OwnTask = { record, checked, runner, notable: told };
    this.#tasks.set(name, task);
    return task;
  }

  async #turn<T>(name: string, work: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(name) ?? Promise.resolve();
    const mine = before.catch(() => {}).then(() => {
      if (this.#closed) throw new Fault(503, "closing", "This server ends; ask again in a moment");
      return work();
    });
    this.#turns.set(name, mine);
    try {
      return await mine;
    } finally {
      if (this.#turns.get(name) === mine) this.#turns.delete(name);
    }
  }
}
