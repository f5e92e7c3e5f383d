/** The schema of `server.yaml`, and of the part of it that a pipeline's own `server:` shares. */
import { z } from "zod";
import { duration, size } from "../pipeline/units/mod.ts";
import { stateSpec } from "../stores/state/spec.ts";
import { cdcSpec } from "./cdc_spec.ts";

/** What a token may do: look; also pause, resume and start jobs; everything. */
export const ROLES = ["read", "operate", "admin"] as const;
export type Role = typeof ROLES[number];

/** What a webhook can be told of. */
export const NOTICES = [
  "task.blocked",
  "task.recovered",
  "task.lag",
  "task.failed",
  "backup.done",
  "backup.failed",
  "verify.failed",
] as const;
export type Notice = typeof NOTICES[number];

const url = () => z.url({ protocol: /^https?$/, error: "expected an http or https URL" });

const LISTEN = /^(\[[0-9a-fA-F:.]+\]|[^\s/:[\]]+):\d{1,5}$/;

const listenShape = {
  listen: z.string().regex(LISTEN, "expected address:port, for example 127.0.0.1:8444").default("127.0.0.1:8444")
    .describe("Address and port. Any other than a loopback address needs auth and tls, or insecure: true"),
  tls: z.strictObject({
    cert_file: z.string().min(1).describe("PEM file with the certificate and what it hangs on"),
    key_file: z.string().min(1).describe("PEM file with the key of the certificate"),
  }).optional().describe("Speak HTTPS"),
  auth: z.strictObject({
    tokens: z.array(
      z.strictObject({
        name: z.string().min(1).max(63).describe("Whose it is, for the log"),
        role: z.enum(ROLES).describe("read looks; operate also pauses, resumes and starts jobs; admin does everything"),
        token: z.string().min(20).optional().meta({ secret: true }).describe("The token itself, 20 characters or more"),
        sha256: z.string().regex(/^[0-9a-f]{64}$/, "expected 64 hexadecimal digits").optional()
          .describe("Its SHA-256 instead, so that the file holds no secret"),
      }).refine((one) => (one.token === undefined) !== (one.sha256 === undefined), {
        error: "expected one of token, token_file and sha256",
        path: ["token"],
      }),
    ).min(1).describe("Bearer tokens that are known"),
  }).optional().describe("Who may ask; left out: everybody who reaches the address"),
  insecure: z.boolean().default(false)
    .describe("Listen on another than a loopback address without auth or tls, because something else guards it"),
  hosts: z.array(z.string().min(1)).default([])
    .describe("Names by which browsers reach it, beside the address of listen; without auth no other is answered"),
  requests_per_second: z.int().min(1).max(100_000).default(200)
    .describe("Requests that one address may send, on average; twice as many at once"),
  body_limit: size({ min: 1024, max: 64 * 1024 * 1024 }).prefault("1MiB").describe("Largest body of a request"),
  lag_threshold: duration({ minMs: 1_000 }).prefault("5m").describe(
    "/readyz says no while a pipeline is further behind, and a webhook is told",
  ),
  webhooks: z.array(z.strictObject({
    url: url().meta({ secret: true }).describe("Where each notification is posted"),
    secret: z.string().min(16).optional().meta({ secret: true }).describe(
      "Signs what is posted (HMAC-SHA256, Standard Webhooks): 16 characters or more, or whsec_ and Base64",
    ),
    events: z.array(z.enum(NOTICES)).min(1).default([...NOTICES]).describe("What it is told of"),
    give_up_after: duration({ minMs: 1_000 }).prefault("1d").describe(
      "A notification that nobody took for so long is dropped, with an error in the log",
    ),
  })).default([]).describe("Who is told when something needs somebody, or is well again"),
  heartbeat: z.strictObject({
    url: url().meta({ secret: true }).describe("Asked (GET) again and again while /readyz says yes"),
    every: duration({ minMs: 1_000 }).prefault("1m").describe("Between two requests"),
  }).optional().describe("A dead man's switch: whoever hears nothing for too long raises the alarm"),
} as const;

type Listening = { listen: string; tls?: unknown; auth?: unknown; insecure: boolean };

/** Whether only this machine reaches the address. */
export function isLoopback(listen: string): boolean {
  const host = listen.replace(/:\d+$/, "");
  return host === "localhost" || host === "[::1]" || /^127(\.\d{1,3}){3}$/.test(host);
}

function checkListening(config: Listening, context: z.RefinementCtx): void {
  if (isLoopback(config.listen) || config.insecure) return;
  for (const key of ["auth", "tls"] as const) {
    if (config[key] !== undefined) continue;
    context.addIssue({
      code: "custom",
      path: ["listen"],
      message: `${config.listen} is no loopback address: expected ${key}, or insecure: true`,
    });
  }
}

/** `server:` of a pipeline. */
export const pipelineServerSpec = z.strictObject(listenShape).superRefine(checkListening);

const serverSpec = z.strictObject({
  ...listenShape,
  allowed_hosts: z.array(z.string().min(1)).optional().describe(
    "Where tasks may connect to: names with * and networks such as 10.0.0.0/8; left out: everywhere",
  ),
  allowed_paths: z.array(z.string().startsWith("/", "expected an absolute path")).default([])
    .describe("Folders in which tasks may name files and keep stores of type file"),
  environment: z.array(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "expected the name of a variable")).default([])
    .describe("Variables of the environment that tasks may use as ${NAME}"),
  key_file: z.string().min(1).optional()
    .describe("File with 32 random bytes or more: configurations are kept encrypted with it"),
}).superRefine(checkListening);

export const serverFileSpec = z.strictObject({
  server: serverSpec.prefault({}).describe("Where it listens, and what is allowed"),
  state: stateSpec.prefault({ type: "file", path: "./server" }).describe(
    "Where tasks are kept, and what their runs remember",
  ),
  tasks: z.strictObject({
    memory: size({ min: 128 * 1024 * 1024 }).prefault("2GiB").describe(
      "Heap of one task; one that needs more ends and is started again",
    ),
    restart_after: duration({ minMs: 100 }).prefault("1s").describe(
      "Before the first restart; doubled with each further one",
    ),
    restart_max: duration({ minMs: 100 }).prefault("1m").describe("The longest wait before a restart"),
    stuck_after: duration({ minMs: 5_000 }).prefault("2m").describe(
      "A task that says nothing for so long is ended and started again",
    ),
    drain: duration({ minMs: 1_000 }).prefault("40s").describe(
      "How long a task that is told to stop may finish what it has read",
    ),
    jobs: z.int().min(1).max(64).default(4).describe("Jobs (plan, check, verify) at once"),
  }).prefault({}).describe("How tasks run"),
  cdc: cdcSpec.optional().describe("Answer POST /cdc as milvus-cdc does"),
}).meta({ title: "Tidemark server" });

export type ServerFile = z.output<typeof serverFileSpec>;
export type ServerConfig = ServerFile["server"];
/** What the server of one pipeline and that of many have in common. */
export type ListenConfig = z.output<typeof pipelineServerSpec>;
