import { bytecodeEnvironment } from "../bytecode.ts";
import type { Component } from "../component.ts";

export interface LiteOptions {
  dir: string;
  log: string;
  python: string;
  port: number;
}

/** milvus-lite's server: a second, much smaller kind of target. Its load states do not survive a restart. */
export function lite(options: LiteOptions): Component {
  return {
    name: "lite",
    command: `${options.python.slice(0, options.python.lastIndexOf("/"))}/milvus-lite`,
    args: ["server", "--data-dir", `${options.dir}/data`, "--host", "127.0.0.1", "--port", String(options.port)],
    env: bytecodeEnvironment(),
    cwd: options.dir,
    log: options.log,
    ready: { kind: "port", port: options.port },
  };
}
