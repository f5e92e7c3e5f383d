/** The AWS client as this program uses it. The only importer of it. */
import { S3Client, type S3ClientConfig } from "@aws-sdk/client-s3";
import { Agent as HttpsAgent } from "node:https";
import type { ServerClock } from "./clock.ts";
import type { S3Keys, S3StoreOptions } from "./s3_options.ts";
import { readingHandler } from "./s3_reads.ts";

export {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  type CopyObjectCommandInput,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  type GetObjectCommandInput,
  HeadObjectCommand,
  ListBucketsCommand,
  ListObjectsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type PutObjectCommandInput,
  type S3Client,
  UploadPartCommand,
  UploadPartCopyCommand,
} from "@aws-sdk/client-s3";

/** A server may take so long for what it is asked: a part of 64 MiB over a slow line, a copy of 5 GiB within it. */
const ANSWER_MS = 600_000;

/** `credentials`: undefined for a provider's, or the usual AWS sources. The clock hears every answer, errors as well. */
export function openS3Client(
  options: S3StoreOptions,
  credentials: S3Keys | undefined,
  clock: ServerClock,
): S3Client {
  const client = new S3Client(clientConfig(options, credentials));
  const { requestHandler } = client.config;
  client.config.requestHandler = readingHandler(requestHandler, options) as typeof requestHandler;
  client.middlewareStack.add(
    (next) => async (given) => {
      const result = await next(given);
      const { headers } = result.response as { readonly headers?: Readonly<Record<string, string>> };
      clock.heard(headers?.date);
      return result;
    },
    { step: "deserialize", name: "serverClock", priority: "low" },
  );
  return client;
}

function clientConfig(options: S3StoreOptions, credentials: S3Keys | undefined): S3ClientConfig {
  const silent = () => {};
  const pool = { keepAlive: true, maxSockets: 4096 };
  const { ca, insecure } = options.tls;
  // For large bodies (Expect: 100-continue) the client makes agents of its own, which know no authority of ours, unless it is
  // given an agent and not the settings of one.
  const https = ca === undefined && !insecure
    ? pool
    : new HttpsAgent({ ...pool, rejectUnauthorized: !insecure, ...(ca === undefined ? {} : { ca }) });
  return {
    region: options.region,
    forcePathStyle: options.pathStyle,
    followRegionRedirects: options.endpoint === undefined,
    // Trailing checksums are unknown to many servers that are not AWS.
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    maxAttempts: 3,
    logger: { trace: silent, debug: silent, info: silent, warn: silent, error: silent },
    requestHandler: {
      connectionTimeout: 10_000,
      // Without the second, the first is a line in the client's log, and a request that gets no answer lasts for ever.
      requestTimeout: options.answerMs ?? ANSWER_MS,
      throwOnRequestTimeout: true,
      // Of a body that stands still, such as that of a listing.
      socketTimeout: options.answerMs ?? ANSWER_MS,
      ...(options.agents ?? { httpAgent: pool, httpsAgent: https }),
      logger: { trace: silent, debug: silent, info: silent, warn: silent, error: silent },
    },
    ...(options.endpoint === undefined ? {} : { endpoint: options.endpoint }),
    // A copy: the client writes into what it is given, and these are compared with those of other stores.
    ...(options.provider !== undefined
      ? { credentials: options.provider.keys }
      : credentials === undefined
      ? {}
      : { credentials: { ...credentials } }),
  };
}
