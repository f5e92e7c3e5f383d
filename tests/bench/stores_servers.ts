/** The servers of object stores beside each other: how Tidemark reaches a bucket of each, and how rclone does. */
import { AZURITE_ACCOUNT, AZURITE_KEY, startAzurite } from "../stack/azurite.ts";
import { startFakeGcs } from "../stack/fake_gcs.ts";
import { startRcloneS3 } from "../stack/rclone_s3.ts";
import { startVersitygw } from "../stack/versitygw.ts";

export interface BenchServer extends AsyncDisposable {
  /** `http://host:port` */
  readonly origin: string;
  createBucket(name: string): Promise<void>;
  /** As a configuration has it. `origin`: the server's, or that of a relay in front of it. */
  config(bucket: string, origin: string): Record<string, unknown>;
  /** rclone's options of a remote. */
  remote(origin: string): Readonly<Record<string, string>>;
}

function s3(
  server: AsyncDisposable & { readonly endpoint: string; createBucket(name: string): Promise<void> },
  [id, secret]: readonly [string, string],
): BenchServer {
  return {
    origin: server.endpoint,
    createBucket: (name) => server.createBucket(name),
    config: (bucket, endpoint) => ({ type: "s3", endpoint, bucket, access_key_id: id, secret_access_key: secret }),
    remote: (endpoint) => ({
      type: "s3",
      provider: "Other",
      access_key_id: id,
      secret_access_key: secret,
      endpoint,
      region: "us-east-1",
    }),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

export const SERVERS: Readonly<Record<string, () => Promise<BenchServer>>> = {
  async versitygw() {
    const server = await startVersitygw();
    return s3(server, [server.root.accessKeyId, server.root.secretAccessKey]);
  },
  async rclone() {
    const server = await startRcloneS3();
    return s3(server, [server.accessKey, server.secretKey]);
  },
  async azurite() {
    const server = await startAzurite();
    const at = (origin: string) => `${origin}/${AZURITE_ACCOUNT}`;
    return {
      origin: server.origin,
      createBucket: (name) => server.createContainer(name),
      config: (container, origin) => ({
        ...{ type: "azure", endpoint: at(origin), account: AZURITE_ACCOUNT },
        ...{ account_key: AZURITE_KEY, container },
      }),
      remote: (origin) => ({
        type: "azureblob",
        account: AZURITE_ACCOUNT,
        key: AZURITE_KEY,
        endpoint: at(origin),
      }),
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  },
  async gcs() {
    const server = await startFakeGcs();
    return {
      origin: server.endpoint,
      createBucket: (name) => server.createBucket(name),
      config: (bucket, endpoint) => ({ type: "gcs", endpoint, bucket, anonymous: true }),
      remote: (origin) => ({
        type: "googlecloudstorage",
        anonymous: "true",
        endpoint: `${origin}/storage/v1/`,
        bucket_policy_only: "true",
      }),
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  },
};
