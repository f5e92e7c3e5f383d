/** One HTTP application: doors, routes, what becomes of errors. */
import type { Role } from "../../config/mod.ts";
import { compressed } from "./compressed.ts";
import { type Doors, HEADERS } from "./doors.ts";
import { Fault, faultBody, faultOf } from "./fault.ts";
import { OpenAPIHono } from "./http.ts";
import { VERSION } from "../version.ts";

export interface AppOptions {
  readonly doors: Doors;
  /** Whether a request needs no token whoever it comes from. */
  readonly isOpen?: (request: Request, path: string, address: string) => boolean;
  /** Counts what is answered, by `GET 200`. */
  readonly answered: Map<string, number>;
  /** An error that nobody foresaw. */
  readonly onTrouble: (error: unknown) => void;
}

/** Which role a request needs; undefined: none, what is there says nothing of any task. */
export function roleFor(method: string, path: string): Role | undefined {
  if (path === "/healthz" || path === "/readyz" || path === "/" || path.startsWith("/page/")) return undefined;
  if (path === "/docs" || path === "/openapi.json") return undefined;
  // Which of its requests it is stands in the body: the route asks for more.
  if (path === "/cdc") return "read";
  if (path === "/api/v1/tokens" || path.startsWith("/api/v1/tokens/")) return "admin";
  if (method === "GET" || method === "HEAD") return "read";
  return /\/(pause|resume|jobs)$/.test(path) || path.startsWith("/api/v1/jobs/") ? "operate" : "admin";
}

/** Others are refused, and counted together: whoever asks chooses the word. */
const METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE"];

export function createApp({ doors, isOpen = () => false, answered, onTrouble }: AppOptions): OpenAPIHono {
  const app = new OpenAPIHono({
    defaultHook: (result) => {
      if (result.success) return;
      throw new Fault(400, "usage", "The request is not what was expected", {
        problems: result.error.issues.map(({ path, message }) => ({
          pointer: path.map((step) => `/${String(step)}`).join(""),
          message,
        })),
      });
    },
  });
  app.use("*", async (c, next) => {
    await next();
    const method = METHODS.includes(c.req.method) ? c.req.method : "other";
    const key = `${method} ${c.res.status}`;
    answered.set(key, (answered.get(key) ?? 0) + 1);
  });
  app.use("*", async (c, next) => {
    const address = (c.env as { address?: string } | undefined)?.address ?? "";
    doors.enter(c.req.raw, address);
    if (!METHODS.includes(c.req.method)) {
      throw new Fault(405, "usage", `${c.req.method} is no method of this server: it knows ${METHODS.join(", ")}`);
    }
    const role = roleFor(c.req.method, c.req.path);
    if (role !== undefined && !isOpen(c.req.raw, c.req.path, address)) doors.requireRole(c.req.raw, role);
    if (c.req.raw.body !== null) {
      const text = await doors.body(c.req.raw);
      c.req.raw = new Request(c.req.raw.url, { method: c.req.method, headers: c.req.raw.headers, body: text });
    }
    await next();
  });
  app.notFound((c) =>
    problem(new Fault(404, "not_found", `There is nothing at ${c.req.path}`, { hint: "See /docs." }))
  );
  app.onError((error) => {
    // hono's own: a body that is no JSON, a parameter that cannot be read.
    const status = (error as { status?: unknown }).status;
    if (!(error instanceof Fault) && typeof status === "number" && status >= 400 && status < 500) {
      return problem(new Fault(status, "usage", error.message || "The request cannot be read"));
    }
    const fault = faultOf(error);
    if (fault.status === 500) onTrouble(error);
    return problem(fault);
  });
  app.openAPIRegistry.registerComponent("securitySchemes", "bearer", { type: "http", scheme: "bearer" });
  app.get("/openapi.json", (c) => c.json(openApi(app)));
  return app;
}

export function openApi(app: OpenAPIHono) {
  return app.getOpenAPI31Document({
    openapi: "3.1.0",
    info: {
      title: "Tidemark",
      version: VERSION,
      description: "Tasks that copy a running Milvus and keep the copy current.",
    },
  });
}

function problem(fault: Fault): Response {
  return new Response(JSON.stringify(faultBody(fault)), {
    status: fault.status,
    headers: {
      "content-type": "application/problem+json",
      ...(fault.status === 405 ? { allow: METHODS.join(", ") } : {}),
      ...(fault.status === 401 ? { "www-authenticate": 'Bearer realm="tidemark"' } : {}),
      ...(fault.status === 429 || fault.status === 503 ? { "retry-after": "1" } : {}),
    },
  });
}

/** An answer with the headers that every answer has, compressed for whoever takes that. */
export async function answer(app: OpenAPIHono, request: Request, address: string): Promise<Response> {
  const response = await compressed(request, await app.fetch(request, { address }));
  const headers = new Headers(response.headers);
  for (const [name, value] of Object.entries(HEADERS)) if (!headers.has(name)) headers.set(name, value);
  return new Response(response.body, { status: response.status, headers });
}
