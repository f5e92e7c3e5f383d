/** `rclone serve s3`, an S3 server with manners of its own: a server of a test's own, over a folder. */
import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";
import { isReady } from "./component.ts";
import { eventually } from "./eventually.ts";
import { freePort } from "./free_port.ts";
import { installRclone } from "./install.ts";

export interface RcloneS3 extends AsyncDisposable {
  readonly endpoint: string;
  /** `host:port` */
  readonly address: string;
  readonly accessKey: string;
  readonly secretKey: string;
  createBucket(name: string): Promise<void>;
}

export async function startRcloneS3(): Promise<RcloneS3> {
  const program = await installRclone();
  const address = `127.0.0.1:${freePort()}`;
  const dir = await Deno.makeTempDir({ prefix: "tidemark-rclone-" });
  const [accessKey, secretKey] = ["rclone", "rclone-secret-key"];
  await Deno.mkdir(`${dir}/data`);
  const child = new Deno.Command(program, {
    args: [
      ...[
        "serve",
        "s3",
        "--addr",
        address,
        "--auth-key",
        `${accessKey},${secretKey}`,
        "--config",
        `${dir}/rclone.conf`,
      ],
      ...["--vfs-cache-mode", "off", "--cache-dir", `${dir}/cache`, `${dir}/data`],
    ],
    stdout: "null",
    stderr: "null",
  }).spawn();
  await eventually("rclone answers", () => isReady({ kind: "port", port: Number(address.split(":")[1]) }), {
    everyMs: 50,
  });
  return {
    endpoint: `http://${address}`,
    address,
    accessKey,
    secretKey,
    async createBucket(name) {
      const client = new S3Client({
        endpoint: `http://${address}`,
        region: "us-east-1",
        forcePathStyle: true,
        credentials: { accessKeyId: accessKey, secretAccessKey: secretKey },
      });
      await client.send(new CreateBucketCommand({ Bucket: name }));
      client.destroy();
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.status;
      await Deno.remove(dir, { recursive: true });
    },
  };
}
