/** The real milvus-backup restores what Tidemark wrote to the emulators of Azure and Google. */
import { match } from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { objectStoreSpec, openObjectStore } from "../../../stores/mod.ts";
import { AZURITE_ACCOUNT, AZURITE_KEY, startAzurite } from "../../stack/azurite.ts";
import { startFakeGcs } from "../../stack/fake_gcs.ts";
import { startForwardProxy } from "../../stack/forward_proxy.ts";
import { stackEnv } from "../../stack/mod.ts";
import { makeCertificates } from "../stores/etcd_process.ts";
import { assertSampleIsBack, milvusBackup, milvusConfig, NAME, writeSample } from "./milvus_backup_program.ts";

interface Cloud extends AsyncDisposable {
  /** Tidemark's `storage`. */
  readonly storage: unknown;
  /** The same for milvus-backup. */
  readonly backups: string;
  /** Of milvus-backup's process. */
  readonly env: Record<string, string>;
}

const CLOUDS: Readonly<Record<string, () => Promise<Cloud>>> = {
  /** milvus-backup knows `https://ACCOUNT.blob.ADDRESS` alone: that name is found by a proxy, and certified by an authority of the test. */
  async azure() {
    const dir = await makeCertificates(`${AZURITE_ACCOUNT}.blob.azure.example`, "127.0.0.1");
    const server = await startAzurite({ tlsDir: dir, accountInHost: true });
    await server.createContainer("vault");
    const proxy = startForwardProxy(() => "127.0.0.1");
    return {
      storage: {
        ...{ type: "azure", endpoint: server.endpoint, account: AZURITE_ACCOUNT, account_key: AZURITE_KEY },
        ...{ container: "vault", prefix: "deep/er", tls: { ca_file: `${dir}/ca.pem` } },
      },
      backups: `backupStorageType: azure, backupAddress: azure.example, backupPort: ${new URL(server.origin).port},
  backupAccessKeyID: ${AZURITE_ACCOUNT}, backupSecretAccessKey: "${AZURITE_KEY}", backupBucketName: vault,
  backupRootPath: deep/er`,
      env: { HTTPS_PROXY: proxy.url, SSL_CERT_FILE: `${dir}/ca.pem` },
      async [Symbol.asyncDispose]() {
        for (const each of [server, proxy]) await each[Symbol.asyncDispose]();
        await Deno.remove(dir, { recursive: true });
      },
    };
  },
  async gcs() {
    const server = await startFakeGcs();
    await server.createBucket("vault");
    // The emulator takes any token, and milvus-backup wants one.
    const tokens = Deno.serve(
      { port: 0, hostname: "127.0.0.1", onListen: () => {} },
      () => Response.json({ access_token: "token", token_type: "Bearer", expires_in: 3600 }),
    );
    const key = await Deno.makeTempFile();
    await Deno.writeTextFile(
      key,
      JSON.stringify({
        ...{ type: "service_account", project_id: "test", private_key_id: "0", client_email: "a@test.example" },
        private_key: generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({
          type: "pkcs8",
          format: "pem",
        }),
        token_uri: `http://127.0.0.1:${tokens.addr.port}/token`,
      }),
    );
    const { hostname, port } = new URL(server.endpoint);
    return {
      storage: { type: "gcs", endpoint: server.endpoint, bucket: "vault", prefix: "deep/er", credentials_file: key },
      backups: `backupStorageType: gcpnative, backupAddress: ${hostname}, backupPort: ${port}, backupUseSSL: false,
  backupGcpCredentialJSON: ${key}, backupBucketName: vault, backupRootPath: deep/er`,
      env: {},
      async [Symbol.asyncDispose]() {
        await server[Symbol.asyncDispose]();
        await tokens.shutdown();
        await Deno.remove(key);
      },
    };
  },
};

Deno.test("milvus-backup gets and restores what Tidemark wrote to the emulators of Azure and Google, all deletes included", async () => {
  const env = stackEnv();
  await Promise.all(
    Object.entries(CLOUDS).map(async ([name, start]) => {
      await using cloud = await start();
      const store = await openObjectStore(objectStoreSpec.parse(cloud.storage));
      await writeSample(store);
      await store.close();
      const config = milvusConfig(env, { milvus: env.TARGET_URI!, bucket: env.TARGET_BUCKET! }, cloud.backups);
      // Not `list`: of Google's folders it looks at a name that they do not have, whoever wrote the backup.
      match(await milvusBackup(config, ["get", "-n", NAME], cloud.env), /peer_sample/);
      const suffix = `_${name}${crypto.randomUUID().slice(-8)}`;
      await milvusBackup(config, ["restore", "-n", NAME, "-s", suffix, "--rebuild_index"], cloud.env);
      await assertSampleIsBack(env, suffix);
    }),
  );
});
