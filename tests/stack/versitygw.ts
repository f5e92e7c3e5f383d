/** versitygw with users and policies: a server of a test's own, over a folder. */
import { CreateBucketCommand, PutBucketPolicyCommand, S3Client } from "@aws-sdk/client-s3";
import { runCommand } from "./command.ts";
import { isReady } from "./component.ts";
import { eventually } from "./eventually.ts";
import { freePort } from "./free_port.ts";
import { installVersitygw } from "./install.ts";

export interface S3User {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export interface Versitygw extends AsyncDisposable {
  readonly endpoint: string;
  /** `host:port` */
  readonly address: string;
  /** May do everything. */
  readonly root: S3User;
  createBucket(name: string): Promise<void>;
  /** One who may do nothing until a policy says so, or everything. */
  createUser(name: string, role?: "user" | "admin"): Promise<S3User>;
  /** Its keys are refused from now on. */
  deleteUser(user: S3User): Promise<void>;
  /** `statements`: of a bucket policy, each without its version. Replaces the one before. */
  setPolicy(bucket: string, statements: readonly object[]): Promise<void>;
}

export interface VersitygwOptions {
  /** Folder with ca.pem, server.pem and server-key.pem: https. */
  readonly tlsDir?: string;
  /** Folder of the buckets of another server, and who may do everything there; default: an empty one. */
  readonly over?: { readonly data: string; readonly root: S3User };
}

export async function startVersitygw({ tlsDir, over }: VersitygwOptions = {}): Promise<Versitygw> {
  const program = await installVersitygw();
  const address = `127.0.0.1:${freePort()}`;
  const endpoint = `${tlsDir === undefined ? "http" : "https"}://${address}`;
  const dir = await Deno.makeTempDir({ prefix: "tidemark-versitygw-" });
  const root = over?.root ?? { accessKeyId: "root", secretAccessKey: "root-secret-key" };
  for (const folder of ["data", "iam"]) await Deno.mkdir(`${dir}/${folder}`);
  const child = new Deno.Command(program, {
    args: [
      ...["--quiet", "--port", address, "--iam-dir", `${dir}/iam`, "--iam-cache-disable"],
      ...(tlsDir === undefined ? [] : ["--cert", `${tlsDir}/server.pem`, "--key", `${tlsDir}/server-key.pem`]),
      ...["posix", over?.data ?? `${dir}/data`],
    ],
    env: { ROOT_ACCESS_KEY: root.accessKeyId, ROOT_SECRET_KEY: root.secretAccessKey },
    stdout: "null",
    stderr: "null",
  }).spawn();
  await eventually("versitygw answers", () => isReady({ kind: "port", port: Number(address.split(":")[1]) }), {
    everyMs: 50,
  });
  const client = new S3Client({
    endpoint,
    region: "us-east-1",
    forcePathStyle: true,
    credentials: root,
    ...(tlsDir === undefined
      ? {}
      : { requestHandler: { httpsAgent: { ca: await Deno.readTextFile(`${tlsDir}/ca.pem`) } } }),
  });
  const admin = async (purpose: string, args: readonly string[]) => {
    const login = ["--access", root.accessKeyId, "--secret", root.secretAccessKey, "--endpoint-url", endpoint];
    const missing = "It was there a moment ago.";
    await runCommand(program, ["admin", ...login, ...args], { purpose, log: `${dir}/admin.log`, missing });
  };
  return {
    endpoint,
    address,
    root,
    async createBucket(name) {
      await client.send(new CreateBucketCommand({ Bucket: name }));
    },
    async createUser(name, role = "user") {
      const user = { accessKeyId: name, secretAccessKey: `${name}-secret-key` };
      const made = ["--access", user.accessKeyId, "--secret", user.secretAccessKey, "--role", role];
      await admin(`Making the user ${name}`, ["create-user", ...made]);
      return user;
    },
    async deleteUser({ accessKeyId }) {
      await admin(`Removing the user ${accessKeyId}`, ["delete-user", "--access", accessKeyId]);
    },
    async setPolicy(bucket, statements) {
      const policy = JSON.stringify({ Version: "2012-10-17", Statement: statements });
      await client.send(new PutBucketPolicyCommand({ Bucket: bucket, Policy: policy }));
    },
    async [Symbol.asyncDispose]() {
      client.destroy();
      child.kill("SIGKILL");
      await child.status;
      await Deno.remove(dir, { recursive: true });
    },
  };
}
