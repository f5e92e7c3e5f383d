/** Backups in the emulators of Azure and Google, and in an S3 server of other manners: the source's files are in another S3, so that every byte passes through. */
import { objectStoreSpec, openObjectStore } from "../../../stores/mod.ts";
import { AZURITE_ACCOUNT, AZURITE_KEY, startAzurite } from "../../stack/azurite.ts";
import { startFakeGcs } from "../../stack/fake_gcs.ts";
import { startRcloneS3 } from "../../stack/rclone_s3.ts";
import { small, withServers } from "../pipeline/servers.ts";
import { TidemarkSetup } from "../pipeline/tidemark_process.ts";
import { assertRestores, assertWhole, untilBased, untilRestorable, type Vault, vaultSink } from "./backup_pipeline.ts";

const PREFIX = "cld_";

async function vaultOf(storage: Record<string, unknown>, server: AsyncDisposable): Promise<Vault> {
  const store = await openObjectStore(objectStoreSpec.parse(storage));
  return {
    storage,
    store,
    place: [],
    env: {},
    async [Symbol.asyncDispose]() {
      await store.close();
      await server[Symbol.asyncDispose]();
    },
  };
}

async function azureVault(): Promise<Vault> {
  const server = await startAzurite();
  await server.createContainer("vault");
  return await vaultOf({
    type: "azure",
    endpoint: server.endpoint,
    account: AZURITE_ACCOUNT,
    account_key: AZURITE_KEY,
    container: "vault",
    prefix: "deep/er",
  }, server);
}

async function gcsVault(): Promise<Vault> {
  const server = await startFakeGcs();
  await server.createBucket("vault");
  return await vaultOf({ type: "gcs", endpoint: server.endpoint, anonymous: true, bucket: "vault" }, server);
}

/** Without conditional writes, checksums and a copy from another server. */
async function rcloneVault(): Promise<Vault> {
  const server = await startRcloneS3();
  await server.createBucket("vault");
  return await vaultOf({
    type: "s3",
    endpoint: server.endpoint,
    bucket: "vault",
    prefix: "deep/er",
    access_key_id: server.accessKey,
    secret_access_key: server.secretKey,
  }, server);
}

Deno.test("run keeps a backup in Azure, one in Google's storage and one in another S3 server, each of which comes back whole with its log", async () => {
  await withServers(PREFIX, async ({ env, source, target }) => {
    const name = `${PREFIX}a`;
    await source.call("create_collection", small(name, { shards: 2 }));
    await source.call("insert_generated", { name, start: 0, count: 2000, seed: 1 });
    await source.call("flush", { name });
    await source.call("delete", { name, start: 100, count: 200 });
    await using azure = await azureVault();
    await using gcs = await gcsVault();
    await using s3 = await rcloneVault();
    await using setup = await TidemarkSetup.make({
      env,
      include: [`default.${PREFIX}*`],
      sinks: { azure: vaultSink(azure), gcs: vaultSink(gcs), s3: vaultSink(s3) },
    });
    const running = setup.start(["run"]);
    await untilBased(running, [azure, gcs, s3], "b");
    await source.call("insert_generated", { name, start: 2000, count: 500, seed: 1 });
    await source.call("delete", { name, start: 600, count: 50 });
    const now = BigInt(await source.call("alloc_timestamp") as bigint);
    for (const vault of [azure, gcs, s3]) await untilRestorable(running, vault, "b", now);
    await running.stop();
    for (const [sink, vault] of [["azure", azure], ["gcs", gcs], ["s3", s3]] as const) {
      await assertWhole(vault, "b");
      const as = (each: string) => `${each}_${sink}`;
      await assertRestores({ env, vault, backup: "b", source, target, names: [name], as });
    }
  });
});
