/** The schema of a whole pipeline, put together from the specs that stand beside the components. */
import { z } from "zod";
import { backupStorageSpec } from "../stores/encryption/spec.ts";
import { stateSpec } from "../stores/state/spec.ts";
import { limitsSpec } from "./limits_spec.ts";
import { backupSinkSpec } from "../sinks/backup/spec.ts";
import { milvusSinkSpec } from "../sinks/milvus/spec.ts";
import { pipelineServerSpec } from "./server_spec.ts";
import { binlogsOfSource, logOfSource, metaOfSource } from "./sources_spec.ts";
import { transformsSpec } from "./transforms_spec.ts";

export const PIPELINE_NAME = /^[a-z0-9][a-z0-9_-]*$/;

const name = (what: string) =>
  z.string().max(63).regex(PIPELINE_NAME, {
    error: `expected ${what} of small letters, digits, - and _, beginning with a letter or digit`,
  });

export const sourcesSpec = z.strictObject({
  meta: metaOfSource.optional().describe("Where the source's metadata is"),
  log: logOfSource.optional().describe("Where the source's message log is"),
  binlogs: binlogsOfSource.optional().describe("Where the source's binlog files are"),
  backup: z.strictObject({
    name: z.string().min(1).describe("Name of the backup"),
    storage: backupStorageSpec.describe("Where the backup is"),
  }).optional().describe("A backup instead of a running Milvus: the pipeline is a restore"),
});

export const sinkSpec = z.discriminatedUnion("type", [milvusSinkSpec, backupSinkSpec]);

export const pipelineSpec = z.strictObject({
  pipeline: name("a name").describe("Name of the pipeline; its state is kept under it"),
  sources: sourcesSpec.describe("What is read: meta, log and binlogs of a running Milvus, or one backup"),
  transforms: transformsSpec.prefault({}).describe("What of it is taken, and under which names"),
  sinks: z.record(name("a sink's name"), sinkSpec).describe("Where it goes, by a name of your choice"),
  state: stateSpec.prefault({ type: "file", path: "./state" }).describe("Where the run remembers how far it is"),
  limits: limitsSpec.prefault({}).describe("How much it may take"),
  on_position_lost: z.enum(["fail", "resnapshot"]).default("fail").describe(
    "When the log no longer holds what is needed: end with status 14, or copy everything again",
  ),
  server: pipelineServerSpec.optional().describe("Health, metrics and a page of this pipeline while it runs"),
}).meta({ title: "Tidemark pipeline" });

export type PipelineConfig = z.output<typeof pipelineSpec>;
export type SinkConfig = PipelineConfig["sinks"][string];
