/** The eight requests of milvus-cdc, done with tasks. */
import { randomUUID } from "node:crypto";
import type { CdcConfig, CheckedText, Role } from "../../../config/mod.ts";
import { formatJson, type Json } from "../../../pipeline/json.ts";
import { isQueue } from "../../../pipeline/positions/mod.ts";
import type { Level } from "../../log.ts";
import { Fault, faultOf } from "../fault.ts";
import type { Task, Tasks } from "../tasks.ts";
import { stateOf, taskAnswer } from "./answers.ts";
import { CdcFailure } from "./failure.ts";
import { maintenance } from "./maintenance.ts";
import { pipelineConfig, routesOf } from "./pipeline.ts";
import { positionsOfStatus } from "./positions.ts";
import { type CreateRequest, decodeData, parseRequest, type RequestData, type RequestType } from "./request.ts";
import { leftToOthers } from "./scope.ts";
import { type CdcTask, scopeOf } from "./task.ts";
import { targetUri, validateCreate } from "./validate.ts";

export interface CdcServiceOptions {
  readonly config: CdcConfig;
  /** `cdc.sources` as it is written, variables unexpanded. */
  readonly sources: unknown;
  /** Throws 503 where another server has the tasks. */
  readonly tasks: () => Tasks;
  /** Whether everything answers that a task names; throws {@link CdcFailure} with what does not. */
  readonly reach: (tasks: Tasks, checked: CheckedText, request: CreateRequest) => Promise<void>;
  readonly setLevel: (level: Level) => void;
  readonly onTrouble: (error: unknown) => void;
}

/** The role that a request needs. */
const ROLE: Readonly<Record<RequestType, Role>> = {
  list: "read",
  get: "read",
  position: "read",
  pause: "operate",
  resume: "operate",
  create: "admin",
  delete: "admin",
  maintenance: "admin",
};

type CdcTaskOf = Task & { readonly record: { readonly cdc: CdcTask } };

export class CdcService {
  readonly #o: CdcServiceOptions;
  /** Creations follow each other where they look at what the others have. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: CdcServiceOptions) {
    this.#o = options;
  }

  /** The body of the answer. `requireRole` throws what becomes an answer of its own, 403. */
  async answer(body: string, requireRole: (role: Role) => void): Promise<string> {
    let type: RequestType;
    let data: unknown;
    try {
      const request = parseRequest(body);
      type = request.type;
      requireRole(ROLE[type]);
      data = decodeData(type, request.data);
    } catch (error) {
      if (error instanceof CdcFailure) return failureBody(error.code, error.message);
      throw error;
    }
    try {
      return formatJson({ code: 200, data: await this.#do(type, data) as Json });
    } catch (error) {
      const { code, message } = this.#failureOf(error);
      return failureBody(code, `fail to handle the ${type} request, error: ${message}`);
    }
  }

  async #do(type: RequestType, data: unknown): Promise<unknown> {
    const as = <T extends RequestType>(_: T) => data as RequestData<T>;
    switch (type) {
      case "create":
        return { task_id: await this.#create(as("create")) };
      case "delete":
        return await this.#delete(as("delete"));
      case "pause":
        return await this.#pause(as("pause").task_id);
      case "resume":
        return await this.#resume(as("resume").task_id);
      case "get":
        return { task: this.#get(as("get").task_id) };
      case "list":
        return { tasks: this.#list().map(shown) };
      case "position":
        return this.#position(as("position").task_id);
      case "maintenance":
        return { State: maintenance(as("maintenance"), this.#o.setLevel) };
    }
  }

  async #create(request: CreateRequest): Promise<string> {
    const { config, sources, reach } = this.#o;
    validateCreate(request, config);
    const taskId = request.task_id || randomUUID().replaceAll("-", "");
    const known = () => this.#list().some(({ record }) => record.cdc.taskId === taskId);
    if (known()) return taskId;
    const tasks = this.#o.tasks();
    const made = () => {
      const cdc = this.#taskOf(taskId, request);
      const options = { sources, onExisting: config.on_existing };
      return { cdc, text: JSON.stringify(pipelineConfig(cdc, request, options), null, 1) };
    };
    await reach(tasks, await tasks.checkAll(made().text), request);
    await this.#alone(async () => {
      if (known()) return;
      const { cdc, text } = made();
      await tasks.create(text, { wanted: "running", cdc });
    });
    return taskId;
  }

  #taskOf(taskId: string, request: CreateRequest): CdcTask {
    const { username: _, password: __, token: ___, ...milvus } = request.milvus_connect_param;
    const { dial_config } = milvus;
    const kept = Object.fromEntries(Object.entries(dial_config).filter(([, value]) => value !== ""));
    const databases = Object.keys(request.db_collections).length;
    const task = {
      taskId,
      target: targetUri(request.milvus_connect_param),
      milvus: { ...milvus, dial_config: kept },
      collectionInfos: request.collection_infos.length === 0 ? null : request.collection_infos,
      dbCollections: databases === 0 ? null : request.db_collections,
      userRole: request.extra_info.enable_user_role,
      disableAutoStart: request.disable_auto_start,
      reason: "",
    };
    const others = this.#list().map(({ record }) => record.cdc);
    const mapped = routesOf(request).map(({ from }) => from);
    const excluded = leftToOthers({ ...task, names: scopeOf(task), mapped }, others);
    if (others.length >= this.#o.config.max_tasks) {
      throw new CdcFailure(500, `the task num has reach the limit, ${this.#o.config.max_tasks}`);
    }
    return { ...task, excluded };
  }

  async #delete({ task_id, ignore_not_found }: RequestData<"delete">): Promise<object> {
    if (ignore_not_found && this.#find(task_id) === undefined) return {};
    // What its run remembers goes, too: no other task is ever called so, and none would find it.
    await this.#o.tasks().remove(this.#known(task_id).record.name, true);
    return {};
  }

  async #pause(id: string): Promise<object> {
    const task = this.#known(id);
    if (shownState(task) === "Paused") throw new CdcFailure(400, `the task has paused, task_id: ${id}`);
    await this.#o.tasks().update(task.record.name, {
      wanted: "paused",
      reason: "manually pause through http interface",
    });
    return {};
  }

  async #resume(id: string): Promise<object> {
    const task = this.#known(id);
    if (shownState(task) === "Running") throw new CdcFailure(400, `the task has running, task_id: ${id}`);
    await this.#o.tasks().update(task.record.name, { wanted: "running" });
    return {};
  }

  #get(id: string): unknown {
    if (id === "") throw new CdcFailure(400, "task_id is empty");
    const task = this.#find(id);
    if (task === undefined) throw new CdcFailure(400, `not found: [${id}]`);
    return shown(task);
  }

  #position(id: string): unknown {
    const task = this.#find(id);
    const { type } = this.#o.config.sources.log;
    const positions = isQueue(type) ? positionsOfStatus(task?.runner.status, type) : [];
    // What is written to the target has no place in a log there, and changes of structure none of their own here.
    return { positions, op_positions: [], target_positions: [] };
  }

  #list(): CdcTaskOf[] {
    return this.#o.tasks().list().filter((task): task is CdcTaskOf => task.record.cdc !== undefined);
  }

  #find(id: string): CdcTaskOf | undefined {
    return this.#list().find(({ record }) => record.cdc.taskId === id);
  }

  #known(id: string): CdcTaskOf {
    const task = this.#find(id);
    if (task === undefined) throw new CdcFailure(400, `not found the task, task_id: ${id}`);
    return task;
  }

  async #alone<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.catch(() => {}).then(work);
    this.#turn = mine;
    return await mine;
  }

  #failureOf(error: unknown): { readonly code: number; readonly message: string } {
    if (error instanceof CdcFailure) return error;
    const fault: Fault = faultOf(error);
    if (fault.status === 500) this.#o.onTrouble(error);
    const problems = fault.problems.map(({ pointer, message }) => `${pointer}: ${message}`);
    const hint = fault.hint === undefined ? [] : [fault.hint];
    return {
      code: fault.status < 500 ? 400 : 500,
      message: [fault.message, ...problems, ...hint].join("; "),
    };
  }
}

function shown(task: CdcTaskOf): Record<string, unknown> {
  const { record, runner, checked } = task;
  return taskAnswer({ cdc: record.cdc, state: runner.state, why: checked.redact(runner.reason) });
}

function shownState({ runner }: Task) {
  return stateOf(runner);
}

/** Errors have no data: scripts look for it. */
function failureBody(code: number, message: string): string {
  return formatJson({ code, message });
}
