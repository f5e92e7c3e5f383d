/**
 * The requests of milvus-cdc (server/model of zilliztech/milvus-cdc 3a4af3b). What is left out or null is empty, keys that
 * nobody knows are left aside, a value of another type is an error, all as its decoder does.
 */
import { z } from "../http.ts";
import { CdcFailure } from "./failure.ts";

const text = z.string().nullish().transform((value) => value ?? "");
const count = z.int().nullish().transform((value) => value ?? 0);
const flag = z.boolean().nullish().transform((value) => value ?? false);
const texts = z.record(z.string(), z.string()).nullish();

function part<S extends z.ZodRawShape>(shape: S) {
  return z.preprocess((value) => value ?? {}, z.object(shape));
}

const collectionInfo = z.object({
  name: text,
  positions: texts.transform((value) => value ?? null),
  use_start_position: flag,
});

const create = z.object({
  milvus_connect_param: part({
    host: text,
    port: count,
    enable_tls: flag,
    username: text,
    password: text,
    uri: text,
    token: text,
    dial_config: part({
      server_name: text,
      server_pem_path: text,
      ca_pem_path: text,
      client_pem_path: text,
      client_key_path: text,
    }),
    channel_num: count,
    ignore_partition: flag,
    connect_timeout: count,
  }),
  kafka_connect_param: part({ address: text, topic: text }),
  collection_infos: z.array(collectionInfo).nullish().transform((value) => value ?? []),
  db_collections: z.record(z.string(), z.array(collectionInfo)).nullish().transform((value) => value ?? {}),
  rpc_channel_info: part({ name: text, position: text }),
  extra_info: part({ enable_user_role: flag }),
  buffer_config: part({ period: count, size: count }),
  name_mapping: z.array(z.object({
    source_db: text,
    target_db: text,
    collection_mapping: texts.transform((value) => value ?? {}),
  })).nullish().transform((value) => value ?? []),
  disable_auto_start: flag,
  task_id: text,
});

export type CreateRequest = z.output<typeof create>;
export type MilvusConnectParam = CreateRequest["milvus_connect_param"];

const one = z.object({ task_id: text });

/** Every request there is, with its data. */
export const REQUESTS = {
  create,
  delete: z.object({ task_id: text, ignore_not_found: flag }),
  pause: one,
  resume: one,
  get: one,
  position: one,
  list: z.object({}),
  maintenance: z.object({
    operation: text,
    params: z.record(z.string(), z.unknown()).nullish().transform((value) => value ?? {}),
  }),
} as const;

export type RequestType = keyof typeof REQUESTS;
export type RequestData<T extends RequestType> = z.output<(typeof REQUESTS)[T]>;

export interface CdcRequest {
  readonly type: RequestType;
  readonly data: unknown;
}

/** The body of a request. Throws 500 for what is no JSON, 400 for a type that nobody knows. */
export function parseRequest(body: string): CdcRequest {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch (error) {
    throw new CdcFailure(500, `fail to unmarshal the request, error: ${(error as Error).message}`);
  }
  const known = z.object({ request_type: text, request_data: z.record(z.string(), z.unknown()).nullish() })
    .safeParse(parsed);
  if (!known.success) throw new CdcFailure(500, `fail to unmarshal the request, error: ${wordsOf(known.error)}`);
  const { request_type: type, request_data: data } = known.data;
  if (!Object.hasOwn(REQUESTS, type)) {
    throw new CdcFailure(400, `invalid 'request_type' param, can be set [${Object.keys(REQUESTS).join(" ")}]`);
  }
  return { type: type as RequestType, data: data ?? {} };
}

/** Throws 500 for a field of another type. */
export function decodeData<T extends RequestType>(type: T, data: unknown): RequestData<T> {
  const decoded = REQUESTS[type].safeParse(data);
  if (!decoded.success) {
    throw new CdcFailure(500, `fail to decode the ${type} request, error: ${wordsOf(decoded.error)}`);
  }
  return decoded.data as RequestData<T>;
}

function wordsOf({ issues }: z.ZodError): string {
  return issues.map(({ path, message }) => `'${path.map(String).join(".")}' ${message}`).join("; ");
}
