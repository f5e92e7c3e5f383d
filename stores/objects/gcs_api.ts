/** Requests to the JSON API of Google Cloud Storage. */
import { withinAnswer } from "./answer_limit.ts";
import type { ServerClock } from "./clock.ts";
import type { CustomerKey } from "./customer_key.ts";
import { answerOf, GcsLoginFailed, gcsStatus } from "./gcs_error.ts";
import type { GcsLogin } from "./gcs_login.ts";

export interface GcsRequest {
  readonly method: string;
  /** Below the endpoint, encoded; or a whole URL, which is an upload's session. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
  readonly signal?: AbortSignal | undefined;
  /** Status codes besides 2xx that are no errors. */
  readonly also?: readonly number[];
}

/** An object's metadata, as far as it is asked for. */
export interface GcsObject {
  readonly name: string;
  readonly size?: string;
  readonly updated?: string;
  readonly md5Hash?: string;
  readonly etag?: string;
}

export const OBJECT_FIELDS = "name,size,updated,md5Hash,etag";

export interface GcsApi {
  /** The answer with its body still to be read. Throws `GcsAnswer` for any other. */
  send(request: GcsRequest): Promise<Response>;
  json<T>(request: GcsRequest): Promise<T>;
}

/** So long a server may take to begin its answer. */
const ANSWER_MS = 120_000;

export function createGcsApi(
  endpoint: string,
  login: GcsLogin | undefined,
  client: Deno.HttpClient,
  clock?: ServerClock,
): GcsApi {
  const once = async (request: GcsRequest, authorization: string | undefined): Promise<Response> => {
    const url = new URL(request.path, `${endpoint}/`);
    for (const [name, value] of Object.entries(request.query ?? {})) {
      if (value !== undefined) url.searchParams.set(name, value);
    }
    const headers = new Headers(request.headers);
    if (authorization !== undefined) headers.set("authorization", authorization);
    return await withinAnswer(request.signal, ANSWER_MS, async (signal) => {
      const response = await fetch(url, {
        method: request.method,
        headers,
        redirect: "manual",
        client,
        signal,
        ...(request.body === undefined ? {} : { body: request.body as BodyInit }),
      });
      clock?.heard(response.headers.get("date"));
      if (response.ok || request.also?.includes(response.status)) return response;
      throw await answerOf(response);
    });
  };
  const authorization = async () => {
    try {
      return await login?.authorization();
    } catch (thrown) {
      throw new GcsLoginFailed(thrown);
    }
  };
  const send = async (request: GcsRequest): Promise<Response> => {
    const used = await authorization();
    try {
      return await once(request, used);
    } catch (thrown) {
      if (used === undefined || gcsStatus(thrown) !== 401) throw thrown;
      // A token that was withdrawn before its time.
      login!.refused(used);
      return await once(request, await authorization());
    }
  };
  return {
    send,
    json: async <T>(request: GcsRequest) => await (await send(request)).json() as T,
  };
}

/** Headers of a request that writes or reads an object under a key of the customer's; `source`: of one that is copied. */
export function keyHeaders(key: CustomerKey | undefined, source?: "source"): Readonly<Record<string, string>> {
  if (key === undefined) return {};
  const begin = source === undefined ? "x-goog-encryption" : "x-goog-copy-source-encryption";
  return { [`${begin}-algorithm`]: "AES256", [`${begin}-key`]: key.base64, [`${begin}-key-sha256`]: key.sha256 };
}

export function objectPath(bucket: string, key: string): string {
  return `storage/v1/b/${encodeURIComponent(bucket)}/o/${encodeURIComponent(key)}`;
}
