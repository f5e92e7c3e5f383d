/** What changes something: tasks, jobs, tokens. */
import { randomBytes } from "node:crypto";
import { json, problems } from "./api_read.ts";
import {
  createSchema,
  idParam,
  jobRequestSchema,
  jobSchema,
  nameParam,
  problemSchema,
  taskSchema,
  updateSchema,
} from "./api_schemas.ts";
import { tokenHash } from "./auth.ts";
import type { TaskBook } from "./book.ts";
import { Fault } from "./fault.ts";
import { createRoute, type OpenAPIHono, z } from "./http.ts";
import type { Jobs } from "./jobs.ts";
import type { Task, Tasks } from "./tasks.ts";
import { jobView, taskView } from "./watched.ts";

const security = [{ bearer: [] }];
const more = (description: string) => ({
  description,
  content: { "application/problem+json": { schema: problemSchema } },
});
const task = json(taskSchema, "The task");

export interface WriteApi {
  readonly app: OpenAPIHono;
  /** Throw 503 where another server has the tasks. */
  readonly tasks: () => Tasks;
  readonly jobs: () => Jobs;
  readonly book: () => TaskBook;
  readonly now: () => Date;
}

/** `"3"`, `W/"3"` as it stands on a compressed answer, `3`, `*`. Throws 400. */
export function versionOf(ifMatch: string | undefined): number | undefined {
  if (ifMatch === undefined || ifMatch.trim() === "*") return undefined;
  const match = /^\s*(?:W\/)?"?(\d{1,15})"?\s*$/.exec(ifMatch);
  if (match === null) throw new Fault(400, "usage", `If-Match ${ifMatch} is no ETag of a task`);
  return Number(match[1]);
}

export function addWriteApi({ app, tasks, jobs, book, now }: WriteApi): void {
  const view = (task: Task) => taskView(task, now().getTime());
  app.openapi(
    createRoute({
      method: "post",
      path: "/api/v1/tasks",
      operationId: "createTask",
      summary: "Makes a task. The same again is the same task. The body may also be the YAML file itself",
      description: "As application/yaml the body is a pipeline's file; ?wanted=paused makes it paused.",
      security,
      request: {
        headers: z.object({ "idempotency-key": z.string().min(1).max(200).optional() }),
        query: z.object({ wanted: z.enum(["running", "paused"]).optional() }),
        body: {
          content: { "application/json": { schema: createSchema }, "application/yaml": { schema: z.string() } },
        },
      },
      responses: {
        201: json(taskSchema, "It was made"),
        200: json(taskSchema, "It was there already"),
        409: more("Another task has this name"),
        422: more("Every problem of the configuration"),
        ...problems,
        415: more("Neither JSON nor YAML"),
      },
    }),
    async (c) => {
      const { wanted } = c.req.valid("query");
      const body = taskBody(c.req.header("content-type"), await c.req.text(), wanted);
      const key = c.req.valid("header")["idempotency-key"];
      const { task, created } = await tasks().create(body.text, {
        wanted: body.wanted,
        ...(key === undefined ? {} : { key }),
      });
      c.header("ETag", `"${task.record.version}"`);
      c.header("Location", `/api/v1/tasks/${task.record.name}`);
      return c.json(view(task), created ? 201 : 200);
    },
  );
  app.openapi(
    createRoute({
      method: "put",
      path: "/api/v1/tasks/{name}",
      operationId: "updateTask",
      summary: "Changes the configuration of a task, whether it is to run, or both",
      security,
      request: {
        params: nameParam,
        headers: z.object({ "if-match": z.string().optional().describe("Only if it is still at this ETag") }),
        body: { content: { "application/json": { schema: updateSchema } }, required: true },
      },
      responses: {
        200: task,
        412: more("It has changed meanwhile"),
        422: more("Every problem of the configuration"),
        ...problems,
      },
    }),
    async (c) => {
      const { config, wanted } = c.req.valid("json");
      const changed = await tasks().update(c.req.valid("param").name, {
        ...(config === undefined ? {} : { config: JSON.stringify(config, null, 1) }),
        ...(wanted === undefined ? {} : { wanted }),
      }, versionOf(c.req.valid("header")["if-match"]));
      c.header("ETag", `"${changed.record.version}"`);
      return c.json(view(changed), 200);
    },
  );
  for (const [verb, wanted] of [["pause", "paused"], ["resume", "running"]] as const) {
    app.openapi(
      createRoute({
        method: "post",
        path: `/api/v1/tasks/{name}/${verb}`,
        operationId: `${verb}Task`,
        summary: verb === "pause"
          ? "Lets it finish what it has read, and stops it"
          : "Runs it; one that failed tries again",
        security,
        request: { params: nameParam },
        responses: { 200: task, ...problems },
      }),
      async (c) => c.json(view(await tasks().update(c.req.valid("param").name, { wanted })), 200),
    );
  }
  app.openapi(
    createRoute({
      method: "delete",
      path: "/api/v1/tasks/{name}",
      operationId: "deleteTask",
      summary: "Stops and removes a task",
      security,
      request: {
        params: nameParam,
        query: z.object({
          state: z.enum(["keep", "remove"]).default("keep")
            .describe(
              "remove: also what its run remembers, so that the next task of this name copies everything again",
            ),
        }),
      },
      responses: {
        204: { description: "It is gone" },
        409: more("Another run holds what it remembers"),
        502: more("Where that is kept says no"),
        ...problems,
      },
    }),
    async (c) => {
      await tasks().remove(c.req.valid("param").name, c.req.valid("query").state === "remove");
      return c.body(null, 204);
    },
  );
  addJobs(app, tasks, jobs);
  addTokens(app, book, now);
}

function addJobs(app: OpenAPIHono, tasks: () => Tasks, jobs: () => Jobs): void {
  app.openapi(
    createRoute({
      method: "post",
      path: "/api/v1/tasks/{name}/jobs",
      operationId: "startJob",
      summary: "Begins plan, check, verify or the list of backups of a task",
      security,
      request: {
        params: nameParam,
        body: { content: { "application/json": { schema: jobRequestSchema } }, required: true },
      },
      responses: { 202: json(jobSchema, "It waits or runs; ask for it until it has ended"), ...problems },
    }),
    (c) => {
      const job = jobs().begin(tasks().get(c.req.valid("param").name), c.req.valid("json"));
      c.header("Location", `/api/v1/jobs/${job.id}`);
      return c.json(jobView(job), 202);
    },
  );
  app.openapi(
    createRoute({
      method: "get",
      path: "/api/v1/jobs",
      operationId: "listJobs",
      summary: "The last jobs, the newest first",
      security,
      request: { query: z.object({ task: z.string().optional() }) },
      responses: { 200: json(z.object({ jobs: z.array(jobSchema) }), "The jobs"), ...problems },
    }),
    (c) => c.json({ jobs: jobs().list(c.req.valid("query").task).map(jobView) }, 200),
  );
  app.openapi(
    createRoute({
      method: "get",
      path: "/api/v1/jobs/{id}",
      operationId: "getJob",
      summary: "A job with its progress and its result",
      security,
      request: { params: idParam },
      responses: { 200: json(jobSchema, "The job"), ...problems },
    }),
    (c) => c.json(jobView(jobs().get(c.req.valid("param").id)), 200),
  );
  app.openapi(
    createRoute({
      method: "delete",
      path: "/api/v1/jobs/{id}",
      operationId: "cancelJob",
      summary: "Cancels a job; one that has ended stays as it is",
      security,
      request: { params: idParam },
      responses: { 200: json(jobSchema, "The job"), ...problems },
    }),
    (c) => c.json(jobView(jobs().cancel(c.req.valid("param").id)), 200),
  );
}

const tokenShape = { name: z.string().min(1).max(63), role: z.enum(["read", "operate", "admin"]) };

function addTokens(app: OpenAPIHono, book: () => TaskBook, now: () => Date): void {
  app.openapi(
    createRoute({
      method: "post",
      path: "/api/v1/tokens",
      operationId: "createToken",
      summary: "Makes a bearer token; it is shown once, and only its hash is kept",
      security,
      request: { body: { content: { "application/json": { schema: z.object(tokenShape) } }, required: true } },
      responses: {
        201: json(z.object({ ...tokenShape, token: z.string() }), "The token"),
        409: more("There is one of this name"),
        ...problems,
      },
    }),
    async (c) => {
      const { name, role } = c.req.valid("json");
      if (book().tokens.has(name)) throw new Fault(409, "exists", `There is a token ${name}`);
      const token = `tm_${randomBytes(32).toString("base64url")}`;
      await book().putToken({ name, role, sha256: tokenHash(token), createdAt: now().toISOString() });
      return c.json({ name, role, token }, 201);
    },
  );
  app.openapi(
    createRoute({
      method: "get",
      path: "/api/v1/tokens",
      operationId: "listTokens",
      summary: "The tokens that were made here, without themselves",
      security,
      responses: { 200: json(z.object({ tokens: z.array(z.object(tokenShape)) }), "The tokens"), ...problems },
    }),
    (c) => c.json({ tokens: [...book().tokens.values()].map(({ name, role }) => ({ name, role })) }, 200),
  );
  app.openapi(
    createRoute({
      method: "delete",
      path: "/api/v1/tokens/{name}",
      operationId: "deleteToken",
      summary: "Withdraws a token",
      security,
      request: { params: z.object({ name: z.string() }) },
      responses: { 204: { description: "It is known no more" }, ...problems },
    }),
    async (c) => {
      const { name } = c.req.valid("param");
      if (!book().tokens.has(name)) throw new Fault(404, "not_found", `There is no token ${name}`);
      await book().removeToken(name);
      return c.body(null, 204);
    },
  );
}

/** A pipeline's configuration as JSON inside a request, or a pipeline's file as it is. Throws 400, 415. */
function taskBody(contentType: string | undefined, text: string, wanted: "running" | "paused" | undefined) {
  const type = (contentType ?? "").split(";")[0]!.trim().toLowerCase();
  if (/^(application|text)\/(x-)?yaml$/.test(type)) return { text, wanted: wanted ?? "running" as const };
  if (type !== "application/json") {
    throw new Fault(415, "usage", `The body is ${type || "of no type"}, expected application/json or application/yaml`);
  }
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new Fault(400, "usage", `The body is no JSON: ${(error as Error).message}`);
  }
  const checked = createSchema.safeParse(parsed);
  if (!checked.success) {
    throw new Fault(400, "usage", "The body is not what was expected", {
      problems: checked.error.issues.map(({ path, message }) => ({
        pointer: path.map((step) => `/${String(step)}`).join(""),
        message,
      })),
      hint: 'Expected {"config": {"pipeline": …}, "wanted": "running"}.',
    });
  }
  return { text: JSON.stringify(checked.data.config, null, 1), wanted: wanted ?? checked.data.wanted };
}
