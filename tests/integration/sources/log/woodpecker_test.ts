/** Whole runs from a Woodpecker on a real etcd and a real S3 server; its writer is the tests' own, see `woodpecker_own.ts` for another. */
import { testKilledRuns } from "../../../conformance/killed_runs.ts";
import { startVersitygw, type Versitygw } from "../../../stack/versitygw.ts";
import { servedWoodpeckerQueue } from "../../../stack/woodpecker/queue.ts";
import { OwnEtcd } from "../../stores/etcd_process.ts";

const BUCKET = "a-bucket";

interface Servers {
  readonly etcd: OwnEtcd;
  readonly s3: Versitygw;
}

/** For the whole file, stopped by its last test. */
const shared: { servers?: Promise<Servers> } = {};
const servers = () =>
  shared.servers ??= (async () => {
    const [etcd, s3] = [new OwnEtcd(), await startVersitygw()];
    await etcd.start();
    await s3.createBucket(BUCKET);
    return { etcd, s3 };
  })();

Deno.test({
  name: "an etcd and an S3 server of the tests' own start",
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => void await servers(),
});

testKilledRuns("Woodpecker on a real etcd and S3", async () => {
  const { etcd, s3 } = await servers();
  return await servedWoodpeckerQueue(etcd.address, s3, BUCKET);
}, 2);

Deno.test({
  name: "the etcd and the S3 server stop",
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    const { etcd, s3 } = await servers();
    await etcd[Symbol.asyncDispose]();
    await s3[Symbol.asyncDispose]();
  },
});
