/** Configuration of where a run keeps its state. */
import { z } from "zod";
import { duration } from "../../pipeline/units/mod.ts";

export const fileStateSpec = z.strictObject({
  type: z.literal("file").describe("A folder of this machine"),
  path: z.string().min(1).default("./state").describe(
    "The folder; holds <pipeline>.state.json and its lock file. A local disk: the lock is the operating system's",
  ),
});

export const etcdStateSpec = z.strictObject({
  type: z.literal("etcd").describe("Keys in an etcd cluster"),
  endpoints: z.array(z.string().min(1)).min(1).describe("Addresses, such as etcd:2379 or https://etcd:2379"),
  prefix: z.string().min(1).default("tidemark").describe("First part of every key"),
  username: z.string().min(1).optional().describe("User name, where etcd asks for one"),
  password: z.string().min(1).optional().meta({ secret: true }).describe("Password of that user"),
  tls: z.strictObject({
    ca_file: z.string().min(1).optional().describe("PEM file with the certificate authority of the servers"),
    cert_file: z.string().min(1).optional().describe("PEM file with the client certificate"),
    key_file: z.string().min(1).optional().describe("PEM file with the private key of the client certificate"),
  }).optional().describe("Certificates, for https endpoints"),
  lease: duration({ minMs: 5_000, maxMs: 600_000 }).prefault("15s").describe(
    "How long the state stays locked after a holder vanished without saying so",
  ),
});

export const stateSpec = z.discriminatedUnion("type", [fileStateSpec, etcdStateSpec]);

export type FileStateConfig = z.output<typeof fileStateSpec>;
export type EtcdStateConfig = z.output<typeof etcdStateSpec>;
export type StateConfig = z.output<typeof stateSpec>;
