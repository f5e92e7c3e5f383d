import type { Component } from "../component.ts";

export interface S3Options {
  dir: string;
  log: string;
  versitygw: string;
  port: number;
  accessKey: string;
  secretKey: string;
}

/** versitygw over a folder: each bucket is a folder below `<dir>/data`, each object a file. */
export async function s3(options: S3Options): Promise<Component> {
  await Deno.mkdir(`${options.dir}/data`, { recursive: true });
  return {
    name: "s3",
    command: options.versitygw,
    args: ["--quiet", "--port", `127.0.0.1:${options.port}`, "posix", `${options.dir}/data`],
    env: { ROOT_ACCESS_KEY: options.accessKey, ROOT_SECRET_KEY: options.secretKey },
    cwd: options.dir,
    log: options.log,
    ready: { kind: "port", port: options.port },
  };
}
