/** What can be looked at: of a server of many tasks as of the one beside a run. */
import {
  eventSchema,
  logSchema,
  nameParam,
  problemSchema,
  sampleSchema,
  summarySchema,
  taskSchema,
} from "./api_schemas.ts";
import type { EventHub } from "./events.ts";
import { createRoute, type OpenAPIHono, z } from "./http.ts";
import { eventStream } from "./event_stream.ts";
import { plainJson, summaryView, taskView, type WatchedList } from "./watched.ts";

export const json = <S extends z.ZodType>(schema: S, description: string) => ({
  description,
  content: { "application/json": { schema } },
});

/** Errors that every route may answer with. */
export const problems = {
  400: { description: "The request is wrong", content: { "application/problem+json": { schema: problemSchema } } },
  401: { description: "No token that is known", content: { "application/problem+json": { schema: problemSchema } } },
  403: { description: "Not allowed", content: { "application/problem+json": { schema: problemSchema } } },
  404: { description: "Not there", content: { "application/problem+json": { schema: problemSchema } } },
  405: { description: "No method of it", content: { "application/problem+json": { schema: problemSchema } } },
  413: { description: "The body is too large", content: { "application/problem+json": { schema: problemSchema } } },
  415: { description: "No JSON", content: { "application/problem+json": { schema: problemSchema } } },
  421: { description: "Not known by this name", content: { "application/problem+json": { schema: problemSchema } } },
  429: { description: "Too many requests", content: { "application/problem+json": { schema: problemSchema } } },
  503: { description: "Not ready", content: { "application/problem+json": { schema: problemSchema } } },
} as const;

const security = [{ bearer: [] }];

export interface ReadApi {
  readonly app: OpenAPIHono;
  readonly tasks: WatchedList;
  readonly events: EventHub;
  /** Fires when the server ends: streams end with it. */
  readonly closing: AbortSignal;
  readonly now: () => Date;
}

export function addReadApi({ app, tasks, events, closing, now }: ReadApi): void {
  app.openapi(
    createRoute({
      method: "get",
      path: "/api/v1/tasks",
      operationId: "listTasks",
      summary: "All tasks, without their collections",
      security,
      responses: { 200: json(z.object({ tasks: z.array(summarySchema) }), "The tasks"), ...problems },
    }),
    (c) => c.json({ tasks: tasks.list().map((task) => summaryView(task, now().getTime())) }, 200),
  );
  app.openapi(
    createRoute({
      method: "get",
      path: "/api/v1/tasks/{name}",
      operationId: "getTask",
      summary: "A task: its configuration without secrets, status, progress, lag, last error",
      security,
      request: { params: nameParam },
      responses: { 200: json(taskSchema, "The task; its version is the ETag"), ...problems },
    }),
    (c) => {
      const task = tasks.get(c.req.valid("param").name);
      c.header("ETag", `"${task.record.version}"`);
      return c.json(taskView(task, now().getTime()), 200);
    },
  );
  app.openapi(
    createRoute({
      method: "get",
      path: "/api/v1/tasks/{name}/logs",
      operationId: "getLogs",
      summary: "The last log lines of a task",
      security,
      request: { params: nameParam, query: z.object({ limit: z.coerce.number().int().min(1).max(2000).default(200) }) },
      responses: { 200: json(z.object({ lines: z.array(logSchema) }), "The lines, the oldest first"), ...problems },
    }),
    (c) => {
      const { runner, checked } = tasks.get(c.req.valid("param").name);
      const lines = runner.logs.list().slice(-c.req.valid("query").limit);
      return c.json({ lines: lines.map((line) => ({ ...line, message: checked.redact(line.message) })) }, 200);
    },
  );
  app.openapi(
    createRoute({
      method: "get",
      path: "/api/v1/tasks/{name}/history",
      operationId: "getHistory",
      summary: "Lag and throughput of the last hour",
      security,
      request: { params: nameParam },
      responses: { 200: json(z.object({ samples: z.array(sampleSchema) }), "One sample in ten seconds"), ...problems },
    }),
    (c) => {
      const samples = tasks.get(c.req.valid("param").name).runner.history.list().map((one) => ({
        at: one.at,
        lag_ms: one.lagMs,
        rows_per_sec: one.rowsPerSec,
        bytes_per_sec: one.bytesPerSec,
      }));
      return c.json({ samples }, 200);
    },
  );
  app.openapi(
    createRoute({
      method: "get",
      path: "/api/v1/tasks/{name}/ddl",
      operationId: "getDdl",
      summary: "Changes of structure that its process has met",
      security,
      request: { params: nameParam },
      responses: {
        200: json(z.object({ changes: z.array(z.record(z.string(), z.unknown())) }), "The oldest first"),
        ...problems,
      },
    }),
    (c) => {
      const { runner, checked } = tasks.get(c.req.valid("param").name);
      const changes = runner.ddl.list().map((change) => plainJson(change, checked.redact));
      return c.json({ changes: changes as Record<string, unknown>[] }, 200);
    },
  );
  app.openapi(
    createRoute({
      method: "get",
      path: "/api/v1/events",
      operationId: "streamEvents",
      summary: "What happens, as server-sent events; Last-Event-ID goes on where a connection ended",
      security,
      request: { query: z.object({ task: z.string().optional().describe("Only of this one") }) },
      responses: {
        200: { description: "Events, each an Event", content: { "text/event-stream": { schema: eventSchema } } },
        ...problems,
      },
    }),
    // deno-lint-ignore no-explicit-any
    (c): any => eventStream(events, { task: c.req.valid("query").task, after: c.req.header("last-event-id"), closing }),
  );
}
