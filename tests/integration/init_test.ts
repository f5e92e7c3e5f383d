/** A newcomer's first minutes: `init` writes a file of what it finds in a real cluster, and it is right. */
import assert from "node:assert/strict";
import { parseJson } from "../../pipeline/json.ts";
import { FLAT_INDEX, SMALL_FIELDS, withServers } from "./pipeline/servers.ts";

const MAIN = new URL("../../main.ts", import.meta.url).pathname;

Deno.test("init finds a real cluster in etcd, and what it writes is linted and checked without a change", async () => {
  await withServers("init_", async ({ env, source }) => {
    await source.call("create_collection", { name: "init_a", fields: SMALL_FIELDS, indexes: FLAT_INDEX, load: true });
    const folder = await Deno.makeTempDir({ prefix: "tidemark_init_" });
    try {
      const file = `${folder}/pipeline.yaml`;
      const tidemark = async (...args: string[]) => {
        const keys = { S3_KEY: env.S3_ACCESS_KEY!, S3_SECRET: env.S3_SECRET_KEY! };
        const command = new Deno.Command(Deno.execPath(), { args: ["run", "-A", MAIN, ...args], env: keys });
        const { code, stdout, stderr } = await command.output();
        return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
      };
      const target = new URL(env.TARGET_URI!).host;
      const init = (...more: string[]) =>
        tidemark("init", "--etcd", env.ETCD_ENDPOINT!, "--target", target, "--out", file, ...more);
      // Both clusters of the stack keep their metadata in one etcd.
      const several = await init();
      assert.equal(several.code, 2, several.stderr);
      assert.match(several.stderr, new RegExp(`several clusters: .*${env.SOURCE_ROOT}`));
      const given = ["--brokers", env.KAFKA_BROKERS!, "--s3", env.S3_ENDPOINT!, "--bucket", env.SOURCE_BUCKET!];
      const all = ["--root-path", env.SOURCE_ROOT!, "--files-root", "files", ...given];
      const written = await init(...all);
      assert.equal(written.code, 0, written.stderr);
      const text = await Deno.readTextFile(file);
      assert.match(text, /Source: Milvus 2\.3\.5/);
      assert.match(text, /the source uses kafka/);
      const linted = await tidemark("lint", "--config", file);
      assert.equal(linted.code, 0, linted.stdout + linted.stderr);
      const checked = await tidemark("check", "--json", "--config", file);
      assert.equal(checked.code, 0, checked.stdout + checked.stderr);
      assert.ok(JSON.stringify(parseJson(checked.stdout)).includes("source queue"), checked.stdout);
      // What a person has changed since is kept.
      const again = await init(...all);
      assert.notEqual(again.code, 0);
      assert.match(again.stderr, /--force/);
      assert.equal(await Deno.readTextFile(file), text);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
});
