/** The application with tasks whose processes are stand-ins: what `/cdc` answers, and which configurations it makes. */
import { loadServerConfig } from "../../../../config/mod.ts";
import { createAccess, type Resolve } from "../../../../control/server/access.ts";
import { answer, createApp } from "../../../../control/server/app.ts";
import { TaskBook } from "../../../../control/server/book.ts";
import { addCdc, CDC_PATH, CdcService } from "../../../../control/server/cdc/mod.ts";
import { tokenHash } from "../../../../control/server/auth.ts";
import { createDoors } from "../../../../control/server/doors.ts";
import { EventHub } from "../../../../control/server/events.ts";
import { runEnvironment } from "../../../../control/server/run_environment.ts";
import { Tasks } from "../../../../control/server/tasks.ts";
import type { Worker, WorkerEnd } from "../../../../control/server/worker.ts";
import { formatJson, type Json, parseJson } from "../../../../pipeline/json.ts";
import { createMemoryStateStore, createStateMemory } from "../../../../stores/mod.ts";

export const SOURCES = `sources:
    meta: { type: etcd, endpoints: ["127.0.0.1:2379"], root_path: by-dev }
    log: { type: kafka, brokers: ["127.0.0.1:9092"] }
    binlogs: { type: s3, endpoint: "http://127.0.0.1:9000", bucket: b, access_key_id: k, secret_access_key: secret-of-the-source }`;

export interface CdcAnswer {
  readonly code: number;
  readonly message?: string;
  // deno-lint-ignore no-explicit-any
  readonly data?: any;
}

export interface CdcRig extends AsyncDisposable {
  readonly tasks: Tasks;
  /** Levels that were set. */
  readonly levels: string[];
  /** Status and body as they are, for `POST /cdc` from `address`. */
  send(body: string, headers?: Record<string, string>, address?: string): Promise<Response>;
  ask(type: string, data?: unknown): Promise<CdcAnswer>;
  /** The process of the task says this status, or ends. */
  say(name: string, status: Json): void;
  end(name: string, end: Partial<WorkerEnd>): void;
  /** The tasks as another server takes them up. */
  again(): Promise<Tasks>;
}

export interface CdcRigOptions {
  /** Further lines of `cdc:`, each with its break. */
  readonly cdc?: string;
  /** `server:` of the file. */
  readonly server?: string;
  /** Default: the machine's. */
  readonly resolve?: Resolve;
  readonly reach?: ConstructorParameters<typeof CdcService>[0]["reach"];
}

export async function cdcRig(
  { cdc = "", server = "{}", resolve, reach = async () => {} }: CdcRigOptions = {},
): Promise<CdcRig> {
  const yaml = `server: ${server}\ncdc:\n  ${SOURCES}\n${cdc}`;
  const { config: file, problems, cdcSources } = loadServerConfig(["server.yaml"], { readText: () => yaml });
  if (file === undefined) throw new Error(JSON.stringify(problems));
  const memory = createStateMemory();
  const now = () => new Date("2026-11-29T12:00:00.000Z");
  const running = new Map<string, { say: (status: Json) => void; end: (end: Partial<WorkerEnd>) => void }>();
  const environment = runEnvironment({ file, variable: () => undefined });
  const made: Tasks[] = [];
  const open = async (book: TaskBook) => {
    const tasks = new Tasks({
      file,
      book,
      access: createAccess({ hosts: file.server.allowed_hosts, paths: file.server.allowed_paths }, resolve),
      events: new EventHub(now),
      environment: {
        ...environment,
        start: ({ checked, onStatus }): Worker => {
          const { promise, resolve } = Promise.withResolvers<WorkerEnd>();
          const end = (how: Partial<WorkerEnd>) =>
            resolve({ code: 0, signal: undefined, stuck: false, result: undefined, error: undefined, ...how });
          running.set(checked.config!.pipeline, { say: (status) => onStatus?.(status), end });
          return { pid: 1, end: promise, stop: () => end({}), kill: () => end({ code: 137 }) };
        },
      },
      now,
      passed: () => {},
      removeState: async () => {},
      onTrouble: (message) => {
        throw new Error(message);
      },
    });
    made.push(tasks);
    return await Promise.resolve(tasks);
  };
  const store = createMemoryStateStore(memory);
  await store.lock(new AbortController().signal);
  const tasks = await open(await TaskBook.open(store, undefined));
  const doors = createDoors({ config: file.server, tokens: () => TOKENS, now: () => 0 });
  const app = createApp({
    doors,
    answered: new Map(),
    isOpen: (request, path, address) =>
      path === CDC_PATH && file.cdc!.loopback_without_token && doors.isFromHere(request, address),
    onTrouble: (error) => {
      throw error;
    },
  });
  const levels: string[] = [];
  addCdc(
    app,
    new CdcService({
      config: file.cdc!,
      sources: cdcSources,
      tasks: () => tasks,
      reach,
      setLevel: (level) => levels.push(level),
      onTrouble: (error) => {
        throw error;
      },
    }),
    (request, address, role) => {
      if (!file.cdc!.loopback_without_token || !doors.isFromHere(request, address)) doors.requireRole(request, role);
    },
  );
  const send: CdcRig["send"] = async (body, headers = {}, address = "127.0.0.1") => {
    const request = new Request("http://localhost:8444/cdc", {
      method: "POST",
      body,
      headers: { ...HOST, ...headers },
    });
    return await answer(app, request, address);
  };
  return {
    tasks,
    levels,
    send,
    ask: async (type, data) => {
      const response = await send(
        formatJson({ request_type: type, ...(data === undefined ? {} : { request_data: data as Json }) }),
      );
      if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
      return parseJson(await response.text()) as unknown as CdcAnswer;
    },
    say: (name, status) => running.get(name)!.say(status),
    end: (name, end) => running.get(name)!.end(end),
    again: async () => await open(await TaskBook.open(store, undefined)),
    [Symbol.asyncDispose]: async () => {
      for (const one of made) await one.close();
    },
  };
}

const HOST = { host: "localhost:8444" };

/** Known where the file has `auth`. */
const TOKENS = (["read", "operate", "admin"] as const).map((role) => ({ name: role, role, sha256: sha256Of(role) }));

function sha256Of(role: string): string {
  return tokenHash(tokenOf(role));
}

export function tokenOf(role: string): string {
  return `token-of-the-role-${role}`;
}
