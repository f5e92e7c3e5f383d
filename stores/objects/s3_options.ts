/** What a bucket is opened with. */
import type { Agent } from "node:http";
import type { CustomerKey } from "./customer_key.ts";
import type { UploadMemory } from "./upload_memory.ts";

export interface S3Keys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

export interface S3KeyProvider {
  /** Stores of one name may be taken for the same account. */
  readonly name: string;
  keys(): Promise<S3Keys & { readonly expiration?: Date }>;
}

/** Encryption at rest that is asked for; a customer's key goes with reads, too. */
export type S3Encryption =
  | { readonly mode: "none" | "sse-s3" }
  | { readonly mode: "sse-kms"; readonly kmsKeyId?: string }
  | { readonly mode: "sse-c"; readonly key: CustomerKey };

export interface S3StoreOptions {
  /** Undefined: AWS. */
  endpoint: string | undefined;
  bucket: string;
  /** Keys below which everything is kept; empty: the whole bucket. */
  prefix: string;
  region: string;
  /** Undefined: the usual AWS sources. */
  credentials: S3Keys | undefined;
  /** Where keys are asked for that end: a role. They are asked for again before they do. In the place of `credentials`. */
  provider?: S3KeyProvider;
  /** The keys as their files hold them now; asked for where the server refuses those that it has. */
  reread?: () => Promise<S3Keys | undefined>;
  pathStyle: boolean;
  sse: S3Encryption;
  tls: { ca: string | undefined; insecure: boolean };
  /** Through the environment's proxy, where it names one for the endpoint. In the place of `tls`. */
  agents?: { readonly httpAgent: Agent; readonly httpsAgent: Agent };
  /** Requests open at once, streams not counted: a stream that waits for its reader must not stop the writes it feeds. */
  maxConcurrency: number;
  /** Memory of uploads of streams, where stores share it. */
  uploads?: UploadMemory;
  /** Objects larger than this are copied in parts; a smaller value is for tests. */
  copyObjectMaxBytes?: bigint;
  copyPartBytes?: bigint;
  /** Of streams; smaller values are for tests. */
  uploadPartBytes?: number;
  uploadPartsMax?: number;
  /** A request without an answer for so long has failed, ms; a smaller value is for tests. */
  answerMs?: number;
  /** A body of which nothing comes for so long while it is read has failed, ms; a smaller value is for tests. */
  stillMs?: number;
  /** Objects a page of a listing; a smaller value is for tests. Default: the server's. */
  listPage?: number;
}
