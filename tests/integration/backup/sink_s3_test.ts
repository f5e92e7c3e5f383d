/** The conformance suite of the backup sink on the stack's S3 server. */
import { createS3Store } from "../../../stores/objects/s3.ts";
import { testArchiveSink } from "../../conformance/archive_sink.ts";
import { stackEnv } from "../../stack/env.ts";

const env = stackEnv();

testArchiveSink("backup sink on S3", {
  async store() {
    const prefix = `backup-sink-test-${crypto.randomUUID()}`;
    const open = async () =>
      createS3Store({
        endpoint: env.S3_ENDPOINT,
        bucket: env.TARGET_BUCKET!,
        prefix,
        region: "us-east-1",
        credentials: { accessKeyId: env.S3_ACCESS_KEY!, secretAccessKey: env.S3_SECRET_KEY! },
        pathStyle: true,
        sse: { mode: "none" },
        tls: { ca: undefined, insecure: false },
        maxConcurrency: 32,
      });
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
