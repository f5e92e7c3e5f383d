import type { Component } from "../component.ts";
import { StackError } from "../stack_error.ts";

/** Settings of a milvus.yaml with dotted keys: `{ "dataNode.segment.syncPeriod": 8 }`. */
export type MilvusSettings = Record<string, string | number | boolean>;

export interface MilvusOptions {
  name: "source" | "target";
  dir: string;
  log: string;
  /** Folder of the unpacked wheel. */
  software: string;
  /** The proxy's port; the other parts take the next eight, health and metrics the tenth. */
  port: number;
  /** Root of its keys in etcd and prefix of its topics. */
  rootPath: string;
  metadata: { kind: "etcd"; endpoint: string } | { kind: "embedded"; clientPort: number; peerPort: number };
  storage:
    | { kind: "local" }
    | { kind: "s3"; port: number; bucket: string; accessKey: string; secretKey: string };
  queue: { kind: "kafka"; brokers: string } | { kind: "rocksmq" };
  /** Applied last. */
  settings: MilvusSettings;
}

/**
 * How often the coordinators look for work: the defaults (500 and 1000 ms; 10 s) make every load of a collection take 2 to
 * 4 s and let imported rows wait 10 to 20 s for their first query, most of a test's time. What is stored, logged or
 * answered does not depend on it.
 */
const QUICK_LOADS: MilvusSettings = {
  "queryCoord.checkSegmentInterval": 100,
  "queryCoord.checkChannelInterval": 100,
  "queryCoord.distPullInterval": 100,
  "queryCoord.updateNextTargetInterval": 2,
  "indexCoord.scheduler.interval": 100,
};

/** A Milvus 2.3 standalone out of the wheel. Writes its milvus.yaml (as JSON, which is YAML). */
export async function milvus(options: MilvusOptions): Promise<Component> {
  const { dir, port, software } = options;
  const settings = JSON.parse(await Deno.readTextFile(`${software}/defaults.json`));
  const all: MilvusSettings = {
    ...portSettings(port),
    ...metadataSettings(options),
    ...storageSettings(options),
    ...queueSettings(options),
    "etcd.rootPath": options.rootPath,
    "etcd.log.level": "warn",
    "common.chanNamePrefix.cluster": options.rootPath,
    "rootCoord.dmlChannelNum": 4,
    "localStorage.path": `${dir}/local`,
    "rocksmq.path": `${dir}/rocksmq`,
    "log.level": "info",
    ...QUICK_LOADS,
    ...options.settings,
  };
  for (const [key, value] of Object.entries(all)) setDotted(settings, key, value);
  await Deno.mkdir(`${dir}/configs`, { recursive: true });
  await Deno.writeTextFile(`${dir}/configs/milvus.yaml`, JSON.stringify(settings, null, 1));
  await Deno.copyFile(`${software}/glog.conf`, `${dir}/configs/glog.conf`);
  if (options.metadata.kind === "embedded") {
    await Deno.writeTextFile(`${dir}/configs/etcd.yaml`, JSON.stringify(embeddedEtcd(dir, options.metadata), null, 1));
  }
  return {
    name: options.name,
    command: `${software}/lib/milvus`,
    args: ["run", "standalone"],
    env: {
      DEPLOY_MODE: "STANDALONE",
      METRICS_PORT: String(port + 9),
      MILVUSCONF: `${dir}/configs`,
      MILVUS_RUN_DIR: `${dir}/run`,
      LD_LIBRARY_PATH: `${software}/lib`,
    },
    cwd: dir,
    log: options.log,
    ready: { kind: "http", url: `http://127.0.0.1:${port + 9}/healthz`, body: "OK" },
  };
}

function portSettings(port: number): MilvusSettings {
  const settings: MilvusSettings = { "proxy.ip": "127.0.0.1", "proxy.port": port, "proxy.internalPort": port + 1 };
  ["rootCoord", "dataCoord", "queryCoord", "dataNode", "queryNode", "indexNode"].forEach((part, index) => {
    settings[`${part}.ip`] = "127.0.0.1";
    settings[`${part}.port`] = port + 2 + index;
  });
  settings["indexCoord.bindIndexNodeMode.address"] = `127.0.0.1:${port + 7}`;
  settings["indexCoord.port"] = port + 8;
  return settings;
}

function metadataSettings(options: MilvusOptions): MilvusSettings {
  if (options.metadata.kind === "etcd") {
    return { "etcd.use.embed": false, "etcd.endpoints": options.metadata.endpoint };
  }
  return {
    "etcd.use.embed": true,
    "etcd.config.path": `${options.dir}/configs/etcd.yaml`,
    "etcd.data.dir": `${options.dir}/etcd`,
    "etcd.endpoints": `127.0.0.1:${options.metadata.clientPort}`,
  };
}

function storageSettings(options: MilvusOptions): MilvusSettings {
  const { storage } = options;
  if (storage.kind === "local") return { "common.storageType": "local" };
  return {
    "common.storageType": "remote",
    "minio.address": "127.0.0.1",
    "minio.port": storage.port,
    "minio.accessKeyID": storage.accessKey,
    "minio.secretAccessKey": storage.secretKey,
    "minio.bucketName": storage.bucket,
    "minio.rootPath": "files",
    "minio.region": "us-east-1",
  };
}

function queueSettings(options: MilvusOptions): MilvusSettings {
  if (options.queue.kind === "rocksmq") return { "mq.type": "rocksmq" };
  return {
    "mq.type": "kafka",
    "kafka.brokerList": options.queue.brokers,
    "kafka.saslUsername": "",
    "kafka.saslPassword": "",
    "kafka.saslMechanisms": "",
    "kafka.securityProtocol": "",
  };
}

/** The etcd inside Milvus listens where this file says, so that an outside client can read the metadata. */
function embeddedEtcd(dir: string, ports: { clientPort: number; peerPort: number }): Record<string, unknown> {
  const client = `http://127.0.0.1:${ports.clientPort}`;
  const peer = `http://127.0.0.1:${ports.peerPort}`;
  return {
    "name": "default",
    "data-dir": `${dir}/etcd`,
    "listen-client-urls": client,
    "advertise-client-urls": client,
    "listen-peer-urls": peer,
    "initial-advertise-peer-urls": peer,
    "initial-cluster": `default=${peer}`,
    "auto-compaction-mode": "revision",
    "auto-compaction-retention": "1000",
    "logger": "zap",
    "log-level": "warn",
    "log-outputs": ["stderr"],
  };
}

/** Sets `a.b.c` in nested objects, making the ones that are missing. */
export function setDotted(root: Record<string, unknown>, key: string, value: string | number | boolean): void {
  const path = key.split(".");
  const leaf = path.pop();
  if (leaf === undefined || leaf === "") throw new StackError(`"${key}" is no key of a milvus.yaml`);
  let node = root;
  for (const part of path) {
    const next = node[part];
    node = (typeof next === "object" && next !== null ? next : (node[part] = {})) as Record<string, unknown>;
  }
  node[leaf] = value;
}
