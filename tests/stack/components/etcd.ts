import type { Component } from "../component.ts";

export interface EtcdOptions {
  dir: string;
  log: string;
  port: number;
  peerPort: number;
}

export function etcd(options: EtcdOptions): Component {
  const client = `http://127.0.0.1:${options.port}`;
  const peer = `http://127.0.0.1:${options.peerPort}`;
  return {
    name: "etcd",
    command: "etcd",
    args: [
      ...["--name", "default", "--data-dir", `${options.dir}/data`, "--log-level", "warn"],
      ...["--listen-client-urls", client, "--advertise-client-urls", client],
      ...["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", `default=${peer}`],
      // As Milvus' own deployments have it. Readers of old revisions meet "compacted" sooner or later.
      ...["--auto-compaction-mode", "revision", "--auto-compaction-retention", "1000"],
    ],
    env: {},
    cwd: options.dir,
    log: options.log,
    ready: { kind: "http", url: `${client}/health`, body: '{"health":"true"' },
  };
}
