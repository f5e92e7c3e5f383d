/**
 * The tasks as they are stored: one document in a state store, one line a task, so that a store that keeps pieces writes only
 * the piece that changed. A change is stored before anything is done about it; changes that come together are written once.
 */
import { TidemarkError } from "../../pipeline/errors.ts";
import type { StateStore } from "../../pipeline/model/mod.ts";
import type { Role } from "../../config/mod.ts";
import type { CdcTask } from "./cdc/task.ts";
import type { Seal } from "./seal.ts";

export type Wanted = "running" | "paused";

export interface TaskRecord {
  readonly name: string;
  /** Rises with each change; the ETag. */
  readonly version: number;
  readonly wanted: Wanted;
  /** Text of the configuration as it was given, JSON or YAML. */
  readonly config: string;
  readonly createdAt: string;
  readonly updatedAt: string;
  /** It is to go: with the state of its run, or without. */
  readonly deleting?: "keep_state" | "with_state";
  /** `Idempotency-Key` of the request that made it. */
  readonly key?: string;
  /** It came by `POST /cdc`. */
  readonly cdc?: CdcTask;
}

export interface TokenRecord {
  readonly name: string;
  readonly role: Role;
  readonly sha256: string;
  readonly createdAt: string;
}

interface Content {
  readonly tasks: ReadonlyMap<string, TaskRecord>;
  readonly tokens: ReadonlyMap<string, TokenRecord>;
}

export class TaskBook {
  readonly #store: Pick<StateStore, "write" | "location">;
  readonly #seal: Seal | undefined;
  #tasks: Map<string, TaskRecord>;
  #tokens: Map<string, TokenRecord>;
  /** Sealed texts by what they hold: each is closed once, so that an unchanged line stays as it is. */
  readonly #sealed = new Map<string, { readonly config: string; readonly sealed: string }>();
  #writing: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  private constructor(store: Pick<StateStore, "write" | "location">, seal: Seal | undefined, content: Content) {
    this.#store = store;
    this.#seal = seal;
    this.#tasks = new Map(content.tasks);
    this.#tokens = new Map(content.tokens);
  }

  /** The store is locked by the caller. Throws `damaged` for what is no such document. */
  static async open(store: StateStore, seal: Seal | undefined, signal?: AbortSignal): Promise<TaskBook> {
    const text = await store.read(signal);
    return new TaskBook(store, seal, text === undefined ? EMPTY : parse(text, store.location, seal));
  }

  get tasks(): ReadonlyMap<string, TaskRecord> {
    return this.#tasks;
  }

  get tokens(): ReadonlyMap<string, TokenRecord> {
    return this.#tokens;
  }

  /** Stores the task in the place of the one of this name; resolves when it is durable. Undone where it cannot be stored. */
  async put(task: TaskRecord): Promise<void> {
    await this.#change(this.#tasks, task.name, task);
  }

  async remove(name: string): Promise<void> {
    await this.#change(this.#tasks, name, undefined);
  }

  async putToken(token: TokenRecord): Promise<void> {
    await this.#change(this.#tokens, token.name, token);
  }

  async removeToken(name: string): Promise<void> {
    await this.#change(this.#tokens, name, undefined);
  }

  async #change<T>(map: Map<string, T>, name: string, value: T | undefined): Promise<void> {
    const before = map.get(name);
    if (value === undefined) map.delete(name);
    else map.set(name, value);
    try {
      await this.#save();
    } catch (error) {
      if (map.get(name) === value) {
        if (before === undefined) map.delete(name);
        else map.set(name, before);
      }
      throw error;
    }
  }

  /** One write is under way; all that change something meanwhile share the next. */
  #save(): Promise<void> {
    if (this.#writing === undefined) {
      this.#writing = this.#write().finally(() => this.#writing = undefined);
      return this.#writing;
    }
    this.#next ??= this.#writing.catch(() => {}).then(() => {
      this.#next = undefined;
      return this.#save();
    });
    return this.#next;
  }

  async #write(): Promise<void> {
    const lines = (items: Iterable<unknown>) => [...items].map((item) => JSON.stringify(item)).join(",\n");
    const tasks = lines([...this.#tasks.values()].map((task) => this.#closed(task)));
    await this.#store.write(`{"format":1,"tasks":[\n${tasks}\n],"tokens":[\n${lines(this.#tokens.values())}\n]}\n`);
  }

  #closed(task: TaskRecord): object {
    if (this.#seal === undefined) return task;
    let known = this.#sealed.get(task.name);
    if (known?.config !== task.config) {
      known = { config: task.config, sealed: this.#seal.close(task.config) };
      this.#sealed.set(task.name, known);
    }
    const { config: _, ...open } = task;
    return { ...open, sealed: known.sealed };
  }
}

const EMPTY: Content = { tasks: new Map(), tokens: new Map() };

function parse(text: string, location: string, seal: Seal | undefined): Content {
  const wrong = (what: string, hint: string, cause?: unknown) =>
    new TidemarkError("damaged", `The server's state ${location} ${what}`, {
      hint,
      ...(cause === undefined ? {} : { cause }),
    });
  let raw: { format?: unknown; tasks?: (TaskRecord & { sealed?: string })[]; tokens?: TokenRecord[] };
  try {
    raw = JSON.parse(text);
  } catch (cause) {
    throw wrong("is no JSON", "Restore it from a backup.", cause);
  }
  if (raw.format !== 1 || !Array.isArray(raw.tasks)) {
    throw wrong("is of a form that this version does not know", "It was written by a newer Tidemark: start that one.");
  }
  const tasks = raw.tasks.map(({ sealed, ...task }): TaskRecord => {
    if (sealed === undefined) return task;
    if (seal === undefined) throw wrong("is encrypted", "Give server.key_file.");
    return { ...task, config: seal.open(sealed) };
  });
  return {
    tasks: new Map(tasks.map((task) => [task.name, task])),
    tokens: new Map((raw.tokens ?? []).map((token) => [token.name, token])),
  };
}
