/** The conformance suite of the backup sink on the stack's S3 server. */
import { testArchiveSink } from "../../conformance/archive_sink.ts";
import { openBucket } from "../../stack/bucket.ts";
import { stackEnv } from "../../stack/env.ts";

const env = stackEnv();

testArchiveSink("backup sink on S3", {
  async store() {
    const prefix = `backup-sink-test-${crypto.randomUUID()}`;
    const open = async () => openBucket(env, env.TARGET_BUCKET!, prefix);
    return {
      open,
      async [Symbol.asyncDispose]() {
        const store = await open();
        await store.delete((await Array.fromAsync(store.list(""))).map(({ key }) => key));
        await store.close();
      },
    };
  },
});
