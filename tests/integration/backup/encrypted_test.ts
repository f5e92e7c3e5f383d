/** An encrypted backup in the source's own bucket: killed, followed, checked without the key, and restored with it. */
import assert from "node:assert/strict";
import { newIdentity, recipientOf } from "../../../stores/encryption/age.ts";
import { withEncryption } from "../../../stores/encryption/mod.ts";
import { small, withServers } from "../pipeline/servers.ts";
import { Running, TidemarkSetup } from "../pipeline/tidemark_process.ts";
import {
  assertRestores,
  assertWhole,
  s3Vault,
  untilBased,
  untilRestorable,
  type Vault,
  vaultSink,
} from "./backup_pipeline.ts";

const PREFIX = "enc_";

Deno.test("run keeps an encrypted backup, through a kill, which nobody reads without the key and which comes back whole", async () => {
  await withServers(PREFIX, async ({ env, source, target }) => {
    const name = `${PREFIX}a`;
    await source.call("create_collection", small(name, { shards: 2 }));
    await source.call("insert_generated", { name, start: 0, count: 2000, seed: 1 });
    await source.call("flush", { name });
    await source.call("delete", { name, start: 100, count: 200 });

    await using clear = s3Vault(env);
    const keyFile = await Deno.makeTempFile();
    const identity = await newIdentity();
    await Deno.writeTextFile(keyFile, `${identity}\n`);
    const encrypt = { identity_file: keyFile };
    const vault: Vault = {
      ...clear,
      storage: { ...clear.storage, encrypt },
      store: await withEncryption(clear.store, encrypt),
      async [Symbol.asyncDispose]() {},
    };
    await using setup = await TidemarkSetup.make({
      env,
      include: [`default.${PREFIX}*`],
      sinks: { vault: vaultSink(vault) },
    });

    const killed = setup.start(["run"], { TIDEMARK_CRASH_AT: "archive_rolled:1" });
    await killed.ends();
    const running = setup.start(["run"]);
    await untilBased(running, [vault], "b");
    await source.call("insert_generated", { name, start: 2000, count: 500, seed: 1 });
    await source.call("delete", { name, start: 600, count: 50 });
    const now = BigInt(await source.call("alloc_timestamp") as bigint);
    await untilRestorable(running, vault, "b", now);
    await running.stop();
    assert.match(running.stderr, /encrypted for the keys in .*milvus-backup cannot read them/);
    await assertWhole(vault, "b");

    for await (const { key } of clear.store.list("b/")) {
      if (key === "b/encryption.json" || key.startsWith("b/sums/")) continue;
      const begin = new TextDecoder().decode(await clear.store.get(key, { start: 0, end: 21 }));
      assert.equal(begin, "age-encryption.org/v1", `${key} is in clear`);
    }
    // Without a configuration, as on a machine that has no key.
    const command = (...args: string[]) =>
      new Running([...clear.place.slice(0, 2), "backup", ...args, ...clear.place.slice(2)], { env: clear.env }).ends();
    const verified = await command("verify", "b");
    assert.equal(verified.code, 0, `${verified.stdout}\n${verified.stderr}`);
    assert.match(verified.stdout, /contents were not looked into/);
    const shut = await command("show", "b");
    assert.equal(shut.code, 12);
    assert.match(shut.stderr, new RegExp(`is encrypted for ${await recipientOf(identity)}`));
    const shown = await setup.command(["backup", "show", "b"]);
    assert.match(shown.stdout, /encrypted +for age1.*milvus-backup cannot read it/);

    await assertRestores({ env, vault, backup: "b", source, target, names: [name], as: (each) => `${each}_back` });
    await Deno.remove(keyFile);
  });
});
