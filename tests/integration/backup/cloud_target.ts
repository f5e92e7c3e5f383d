/** Targets that keep their own files in the emulators of Azure and of Google. */
import { objectStoreSpec, openObjectStore } from "../../../stores/mod.ts";
import { AZURITE_ACCOUNT, AZURITE_KEY, startAzurite } from "../../stack/azurite.ts";
import type { MilvusSettings } from "../../stack/components/milvus.ts";
import { startFakeGcs } from "../../stack/fake_gcs.ts";
import { startStack } from "../../stack/mod.ts";
import { PyMilvus } from "../../stack/pymilvus.ts";
import { startVersitygw } from "../../stack/versitygw.ts";

const BUCKET = "target";
const ROOT = "files";

interface CloudFiles extends AsyncDisposable {
  /** Of its milvus.yaml. */
  readonly settings: MilvusSettings;
  /** `storage` of the sink. */
  readonly storage: Record<string, unknown>;
  /** Keys below its root. */
  keys(): Promise<string[]>;
}

export interface CloudTarget extends AsyncDisposable {
  readonly env: Record<string, string>;
  readonly server: PyMilvus;
  readonly files: CloudFiles;
}

/** By Milvus' own client of Azure. */
async function azureFiles(): Promise<CloudFiles> {
  const server = await startAzurite();
  await server.createContainer(BUCKET);
  const login = { account: AZURITE_ACCOUNT, account_key: AZURITE_KEY };
  const storage = { type: "azure", endpoint: server.endpoint, ...login, container: BUCKET, root_path: ROOT };
  return {
    settings: {
      "minio.cloudProvider": "azure",
      // Both of Milvus' clients put it at the end of a connection string: what comes behind a semicolon is one more of its parts.
      "minio.address": `core.windows.net;BlobEndpoint=${server.endpoint}`,
      "minio.accessKeyID": AZURITE_ACCOUNT,
      "minio.secretAccessKey": AZURITE_KEY,
    },
    storage,
    async keys() {
      const { root_path: prefix, ...rest } = storage;
      const store = await openObjectStore(objectStoreSpec.parse({ ...rest, prefix }));
      const keys = (await Array.fromAsync(store.list(""))).map(({ key }) => key);
      await store.close();
      return keys;
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** By S3, as Google's service can be asked, too: its emulator cannot, so another server shows the same folder so. */
async function googleFiles(): Promise<CloudFiles> {
  await using opened = new AsyncDisposableStack();
  const data = await Deno.makeTempDir({ prefix: "tidemark-gcs-" });
  opened.defer(() => Deno.remove(data, { recursive: true }));
  const root = { accessKeyId: "root", secretAccessKey: "root-secret-key" };
  const [s3, google] = await Promise.all([
    startVersitygw({ over: { data, root } }).then((server) => opened.use(server)),
    startFakeGcs({ folder: data }).then((server) => opened.use(server)),
  ]);
  await s3.createBucket(BUCKET);
  const owned = opened.move();
  return {
    settings: {
      "minio.address": s3.address,
      "minio.accessKeyID": root.accessKeyId,
      "minio.secretAccessKey": root.secretAccessKey,
      "minio.region": "us-east-1",
    },
    storage: { type: "gcs", endpoint: google.endpoint, bucket: BUCKET, anonymous: true, root_path: ROOT },
    async keys() {
      const store = await openObjectStore(objectStoreSpec.parse({ type: "file", path: `${data}/${BUCKET}/${ROOT}` }));
      const keys = (await Array.fromAsync(store.list(""))).map(({ key }) => key);
      await store.close();
      return keys;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

export const CLOUD_FILES: Readonly<Record<string, () => Promise<CloudFiles>>> = { azure: azureFiles, gcs: googleFiles };

export async function cloudTarget(name: string, start: () => Promise<CloudFiles>): Promise<CloudTarget> {
  await using opened = new AsyncDisposableStack();
  const files = opened.use(await start());
  const target = {
    "common.storageType": "remote",
    "minio.bucketName": BUCKET,
    "minio.rootPath": ROOT,
    ...files.settings,
  };
  const { env } = opened.use(
    await startStack("demo", { name: `import-${name}-${Deno.pid}`, without: ["kafka", "source"], target }),
  );
  const server = opened.use(await PyMilvus.start(env.TARGET_URI!, { python: env.PYTHON! }));
  const owned = opened.move();
  return { env, server, files, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
