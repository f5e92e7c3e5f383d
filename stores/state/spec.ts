/** Configuration of where a run keeps its state. */
import { z } from "zod";
import { duration } from "../../pipeline/units/mod.ts";
import { checkEtcdLogin, etcdShape } from "../etcd/spec.ts";

export const fileStateSpec = z.strictObject({
  type: z.literal("file").describe("A folder of this machine"),
  path: z.string().min(1).default("./state").describe(
    "The folder; holds <pipeline>.state.json and its lock file. A local disk: the lock is the operating system's",
  ),
});

export const etcdStateSpec = z.strictObject({
  type: z.literal("etcd").describe("Keys in an etcd cluster"),
  ...etcdShape,
  prefix: z.string().min(1).default("tidemark").describe("First part of every key"),
  lease: duration({ minMs: 5_000, maxMs: 600_000 }).prefault("15s").describe(
    "How long the state stays locked after a holder vanished without saying so",
  ),
}).superRefine(checkEtcdLogin);

export const stateSpec = z.discriminatedUnion("type", [fileStateSpec, etcdStateSpec]);

export type FileStateConfig = z.output<typeof fileStateSpec>;
export type EtcdStateConfig = z.output<typeof etcdStateSpec>;
export type StateConfig = z.output<typeof stateSpec>;
