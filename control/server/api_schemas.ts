/** The shapes of the API: what the OpenAPI document is made of. */
import { EVENT_TYPES } from "./events.ts";
import { z } from "./http.ts";
import { JOB_KINDS, JOB_STATES } from "./jobs.ts";
import { TASK_STATES } from "./runner.ts";

const anything = z.unknown();
const numberOrNull = z.number().nullable();
const textOrNull = z.string().nullable();

export const problemSchema = z.object({
  type: z.string(),
  title: z.string().describe("What is wrong, as a sentence"),
  status: z.int(),
  code: z.string().describe("One of the error codes; urn:tidemark:<code> is the type"),
  hint: z.string().optional().describe("How to mend it"),
  problems: z.array(z.object({
    pointer: z.string().describe("JSON pointer into the configuration"),
    message: z.string(),
    line: z.int().optional(),
    column: z.int().optional(),
  })).optional().describe("Every problem of a configuration"),
}).openapi("Problem");

export const wantedSchema = z.enum(["running", "paused"]);

const statusSchema = z.object({
  phase: z.string(),
  rows_done: z.number().describe("Rows of the base that are copied"),
  rows_total: z.number(),
  inserted: z.number().describe("Rows written by the tail since its process began"),
  deleted: z.number(),
  eta_ms: numberOrNull.describe("Of the base, at the present rate"),
  lag_ms: z.number().describe("Since the last moment of which everything is on the sinks, of the slowest channel"),
  records_behind: z.number().nullable().describe(
    "Records of the log that are not read yet, as the queue counts them; null where it does not count those of every channel",
  ),
  bytes_behind: z.number().nullable().describe(
    "Bytes of them as the queue keeps them, an estimate; null where it says nothing of the size of every channel",
  ),
  rows_per_sec: z.number(),
  bytes_per_sec: z.number(),
  in_flight_bytes: z.number(),
  in_flight_limit_bytes: z.number(),
  started_at: z.string(),
  checkpoint_at: z.string(),
  at: z.string().describe("When the task said this"),
  last_error: textOrNull,
  warnings: z.array(z.string()),
  collections: z.array(z.object({
    source: z.string(),
    target: z.string(),
    phase: z.string(),
    segments_done: z.number(),
    segments_total: z.number(),
    rows_done: z.number(),
    rows_total: z.number(),
    inserted: z.number(),
    deleted: z.number(),
    reason: textOrNull.describe("Why it is blocked, or why rows of it are held"),
    rows_held: z.number(),
    dead_letters: z.number(),
  })),
  channels: z.array(z.object({
    pchannel: z.string(),
    position: z.string(),
    tick: z.string().describe("Hybrid timestamp: a 64-bit number"),
    complete_to: textOrNull,
    lag_ms: z.number(),
    loss_ms: numberOrNull.describe(
      "Until the log's retention reaches what a restart would read first; null where that is not known, or never",
    ),
    loss_why: textOrNull.describe("Why that is null, or what else removes records from the log"),
    records_per_sec: z.number(),
    records_behind: numberOrNull,
    bytes_behind: numberOrNull,
    end: textOrNull,
    seen_at: textOrNull,
  })),
  waits: z.array(z.object({
    component: z.string(),
    collection: z.string(),
    reason: z.string(),
    since: z.string(),
    next: z.string(),
  })),
  bases: z.array(z.object({
    sink: z.string(),
    tried_at: z.string(),
    good_at: z.string(),
    failures: z.number(),
    error: z.string(),
  })),
}).openapi("Status");

const headShape = {
  name: z.string(),
  version: z.int().describe("Its ETag"),
  wanted: wantedSchema,
  state: z.enum(TASK_STATES),
  reason: z.string().describe("Why it is in this state; empty where there is nothing to say"),
  restarts: z.int(),
  last_end: z.object({ at: z.string(), code: z.int(), reason: z.string(), hint: textOrNull }).nullable()
    .describe("How its process ended the last time it did not end well"),
  next_start_at: textOrNull,
  created_at: z.string(),
  updated_at: z.string(),
};

export const summarySchema = z.object({
  ...headShape,
  phase: textOrNull,
  lag_ms: numberOrNull,
  records_behind: numberOrNull,
  bytes_behind: numberOrNull,
  rows_per_sec: numberOrNull,
  rows_done: numberOrNull,
  rows_total: numberOrNull,
  collections: z.int(),
  blocked: z.int(),
}).openapi("TaskSummary");

export const taskSchema = z.object({
  ...headShape,
  config: z.record(z.string(), anything).describe("As it was given, secrets masked"),
  pid: numberOrNull,
  status: statusSchema.nullable(),
}).openapi("Task");

/** What a newcomer may send as it is, and what tests of the whole API begin with. */
const EXAMPLE = {
  pipeline: "prod-to-dr",
  sources: {
    meta: { type: "etcd", endpoints: ["etcd:2379"], root_path: "by-dev" },
    log: { type: "kafka", brokers: ["kafka:9092"] },
    binlogs: { type: "s3", endpoint: "http://minio:9000", bucket: "a-bucket" },
  },
  sinks: { replica: { type: "milvus", address: "dr:19530" } },
};

export const createSchema = z.object({
  config: z.record(z.string(), anything).describe("A pipeline's configuration, with the keys of its YAML file").openapi(
    {
      example: EXAMPLE,
    },
  ),
  wanted: wantedSchema.default("running"),
}).openapi("CreateTask");

export const updateSchema = z.object({
  config: z.record(z.string(), anything).optional(),
  wanted: wantedSchema.optional(),
}).openapi("UpdateTask");

export const jobRequestSchema = z.object({
  kind: z.enum(JOB_KINDS),
  counts: z.boolean().default(false).describe("verify compares only the numbers of rows"),
}).openapi("StartJob");

export const jobSchema = z.object({
  id: z.string(),
  task: z.string(),
  kind: z.enum(JOB_KINDS),
  state: z.enum(JOB_STATES),
  progress: z.string(),
  created_at: z.string(),
  ended_at: textOrNull,
  exit: numberOrNull,
  result: anything.describe("What the command prints with --json; 64-bit numbers as text"),
  error: z.object({ code: z.string(), message: z.string(), hint: textOrNull }).nullable(),
}).openapi("Job");

export const logSchema = z.object({ time: z.string(), level: z.string(), message: z.string() }).openapi("LogLine");

export const sampleSchema = z.object({
  at: z.number().describe("Unix ms"),
  lag_ms: z.number(),
  rows_per_sec: z.number(),
  bytes_per_sec: z.number(),
}).openapi("Sample");

export const eventSchema = z.object({
  id: z.int(),
  at: z.string(),
  type: z.enum(EVENT_TYPES),
  task: z.string(),
  message: z.string(),
}).openapi("Event");

export const nameParam = z.object({
  name: z.string().openapi({ description: "Name of the task", example: EXAMPLE.pipeline }),
});
export const idParam = z.object({ id: z.string().openapi({ description: "Id of the job" }) });
