/** Woodpecker as it is: its own embedded writer, or its own servers with its own client, over an etcd and an S3 server. */
import { freePort } from "../free_port.ts";
import { startVersitygw, type Versitygw } from "../versitygw.ts";
import { OwnEtcd } from "../../integration/stores/etcd_process.ts";
import { installWoodpecker } from "./install.ts";
import { WoodpeckerNode } from "./node.ts";
import { OwnWriter } from "./writer.ts";

export interface RigOptions {
  /** Servers; 0: the writer is embedded. */
  readonly nodes?: number;
  /** Blocks, and bytes, of a segment before the next append rolls it. */
  readonly blocks?: number;
  readonly bytes?: number;
  /** How long truncated segments are kept. */
  readonly ttlSeconds?: number;
}

export const BUCKET = "a-bucket";
export const ROOT = "files/wp";

export class WoodpeckerRig implements AsyncDisposable {
  readonly etcd: OwnEtcd;
  readonly s3: Versitygw;
  readonly nodes: WoodpeckerNode[] = [];
  readonly #dir: string;
  readonly #program: string;
  readonly #writers: OwnWriter[] = [];

  private constructor(etcd: OwnEtcd, s3: Versitygw, dir: string, program: string) {
    this.etcd = etcd;
    this.s3 = s3;
    this.#dir = dir;
    this.#program = program;
  }

  static async start(options: RigOptions = {}): Promise<WoodpeckerRig> {
    const program = await installWoodpecker(console.error);
    const [etcd, s3] = [new OwnEtcd(), await startVersitygw()];
    await etcd.start();
    await s3.createBucket(BUCKET);
    const dir = await Deno.makeTempDir({ prefix: "tidemark-woodpecker-" });
    const rig = new WoodpeckerRig(etcd, s3, dir, program);
    const ports = Array.from({ length: options.nodes ?? 0 }, () => [freePort(), freePort()] as const);
    await Deno.writeTextFile(`${dir}/config.yaml`, JSON.stringify(rig.#config(options, ports.map(([port]) => port))));
    const seeds = ports.map(([, gossip]) => `127.0.0.1:${gossip}`).join(",");
    for (const [i, [port, gossip]] of ports.entries()) {
      rig.nodes.push(new WoodpeckerNode(program, dir, { name: `node-${i}`, port, gossip, seeds }));
    }
    await Promise.all(rig.nodes.map((node) => node.start()));
    return rig;
  }

  /** Another process that writes; what it opens is taken from the others. */
  async writer(): Promise<OwnWriter> {
    const writer = await OwnWriter.start(this.#program, this.#dir, this.#writers.length);
    this.#writers.push(writer);
    return writer;
  }

  #config(
    { blocks = 1000, bytes = 256_000_000, ttlSeconds = 259_200 }: RigOptions,
    ports: readonly number[],
  ): unknown {
    const [address, port] = this.s3.address.split(":");
    const service = ports.length > 0;
    return {
      woodpecker: {
        meta: { type: "etcd", prefix: "woodpecker" },
        client: {
          segmentRollingPolicy: { maxSize: bytes, maxInterval: 600, maxBlocks: blocks },
          auditor: { maxInterval: 1 },
          ...(service
            ? {
              quorum: {
                quorumBufferPools: [{ name: "pool", seeds: ports.map((port) => `127.0.0.1:${port}`) }],
                quorumSelectStrategy: { affinityMode: "soft", replicas: 3, strategy: "random" },
              },
            }
            : {}),
        },
        logstore: {
          retentionPolicy: { ttl: ttlSeconds },
          segmentSyncPolicy: { maxInterval: 20 },
          fencePolicy: { conditionWrite: "auto" },
        },
        storage: {
          type: service ? "service" : "minio",
          rootPath: `${this.#dir}/unused`,
        },
      },
      log: { level: "warn", stdout: true },
      etcd: { endpoints: [this.etcd.address], rootPath: "by-dev" },
      minio: {
        address,
        port: Number(port),
        accessKeyID: this.s3.root.accessKeyId,
        secretAccessKey: this.s3.root.secretAccessKey,
        useSSL: false,
        bucketName: BUCKET,
        createBucket: false,
        rootPath: ROOT,
        cloudProvider: "aws",
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const writer of this.#writers) await writer.kill();
    for (const node of this.nodes) await node.kill();
    await this.etcd[Symbol.asyncDispose]();
    await this.s3[Symbol.asyncDispose]();
    await Deno.remove(this.#dir, { recursive: true });
  }
}
