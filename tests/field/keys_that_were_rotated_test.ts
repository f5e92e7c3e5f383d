/**
 * Somebody rotated the S3 keys of a source, and its scheduled bases failed without a word ever after. Keys are read again from
 * their files where the server refuses them; a base that fails meanwhile is an error of its own each time.
 */
import assert from "node:assert/strict";
import { listBackups } from "../../sources/backup/mod.ts";
import type { RunStatus } from "../../pipeline/model/mod.ts";
import { assertWhole, folderVault, vaultSink } from "../integration/backup/backup_pipeline.ts";
import { small, withServers } from "../integration/pipeline/servers.ts";
import { stackSources, TidemarkSetup } from "../integration/pipeline/tidemark_process.ts";
import { type S3User, startVersitygw } from "../stack/versitygw.ts";
import { statusUntil } from "./status.ts";

const PREFIX = "fkr_";
const SCHEDULE_MS = 3000;

Deno.test("run makes its scheduled bases with keys that were rotated under it, and tells of each that failed meanwhile", async () => {
  await withServers(PREFIX, async ({ env, source }) => {
    const name = `${PREFIX}a`;
    await source.call("create_collection", small(name));
    await source.call("insert_generated", { name, start: 0, count: 300, seed: 1 });
    await source.call("flush", { name });
    const root = { accessKeyId: env.S3_ACCESS_KEY!, secretAccessKey: env.S3_SECRET_KEY! };
    await using server = await startVersitygw({ over: { data: `${env.STACK_DIR}/s3/data`, root } });
    await using vault = await folderVault();
    const sources = stackSources(env);
    const { access_key_id: _id, secret_access_key: _secret, ...binlogs } = sources.binlogs as Record<string, unknown>;
    await using setup = await TidemarkSetup.make({
      env,
      include: [`default.${name}`],
      sinks: { vault: vaultSink(vault, { name: "b_{date}_{time}", schedule: `*/${SCHEDULE_MS / 1000} * * * * *` }) },
    });
    const [id, secret] = [`${setup.folder}/id`, `${setup.folder}/secret`];
    await setup.change({
      sources: {
        ...sources,
        binlogs: { ...binlogs, endpoint: server.endpoint, access_key_id_file: id, secret_access_key_file: secret },
      },
    });
    const write = async ({ accessKeyId, secretAccessKey }: S3User) => {
      await Deno.writeTextFile(secret, `${secretAccessKey}\n`);
      await Deno.writeTextFile(id, `${accessKeyId}\n`);
    };
    const bases = ({ bases }: RunStatus) => bases.find(({ sink }) => sink === "vault");
    const first = await server.createUser("first", "admin");
    await write(first);
    const run = setup.start(["run"]);
    const until = async (what: string, holds: (base: RunStatus["bases"][number]) => boolean) =>
      bases(
        await statusUntil(setup, run, what, (status) => bases(status) !== undefined && holds(bases(status)!)),
      )!;
    const { goodAt } = await until("the first base is good", (base) => base.goodAt !== "");

    // In the order in which it is done: the next one has all that it needs.
    const second = await server.createUser("second", "admin");
    await write(second);
    await server.deleteUser(first);
    const rotated = await until("a base with the second keys is good", (base) => base.goodAt > goodAt);
    assert.equal(rotated.failures, 0, rotated.error);
    assert.doesNotMatch(run.stderr, /failed/);

    // The old ones are gone before the new ones are there.
    await server.deleteUser(second);
    const failed = await until("a base has failed", ({ failures }) => failures >= 1);
    assert.match(failed.error, /refused the credentials/);
    assert.ok(failed.goodAt >= rotated.goodAt && failed.triedAt > failed.goodAt, JSON.stringify(failed));
    assert.match(run.stderr, /The new base of vault failed; the last good one is of 20.*refused the credentials/);
    const { stdout } = await setup.command(["status"]);
    assert.match(stdout, /base +vault: last failed .* ago, \d+ since the last good one \(.* ago\): http/);

    const third = await server.createUser("third", "admin");
    await write(third);
    const good = await until("a base with the third keys is good", (base) => base.goodAt > failed.triedAt);
    assert.deepEqual([good.failures, good.error], [0, ""]);
    assert.equal((await run.stop()).code, 143);

    // A run that ends says by its exit status that its base has failed.
    await server.deleteUser(third);
    // By its end a time of the schedule has come since the last good one, however quick it is.
    const ended = await setup.command(["run", "--until", new Date(Date.now() + 2 * SCHEDULE_MS).toISOString()]);
    assert.equal(ended.code, 3, ended.stderr);
    assert.match(ended.stdout, /^failed +The last base of vault: .*refused the credentials/m);
    // One for each time of the schedule that comes while it lasts.
    const before = bases((await setup.status())!)!;
    assert.ok(before.failures >= 1 && before.goodAt >= good.goodAt, JSON.stringify(before));
    assert.match(
      (await setup.once(3)).stderr,
      /The new base of vault failed, \d+ in a row; the last good one is of 20/,
    );
    const last = bases((await setup.status())!)!;
    assert.ok(last.failures > before.failures, JSON.stringify(last));
    assert.equal(last.goodAt, before.goodAt);

    await write(await server.createUser("fourth", "admin"));
    await setup.once();
    const newest = (await listBackups(vault.store)).filter(({ state }) => state === "complete").map(({ name }) => name)
      .sort().at(-1)!;
    await assertWhole(vault, newest);
  });
});
