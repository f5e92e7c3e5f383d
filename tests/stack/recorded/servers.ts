/** Where a recording is put: a cluster name of its own in the stack's etcd and Kafka, and a bucket of its own. */
import { Buffer } from "node:buffer";
import { Admin, Producer } from "@platformatic/kafka";
import type { ObjectStore } from "../../../pipeline/model/mod.ts";
import { connectEtcd, type EtcdClient, openObjectStore, s3Spec } from "../../../stores/mod.ts";
import { clusterName, RECORDED_NAME, renameBytes, renameRecord, renameText } from "./cluster_name.ts";
import type { EtcdChange, RecordedRecord } from "./recording.ts";

/** Of one transaction; etcd takes 128. */
const WRITES_AT_ONCE = 100;

export class RecordedServers implements AsyncDisposable {
  /** First part of the topics' names, and the root of the keys in etcd. */
  readonly cluster: string;
  readonly bucket: string;
  /** The log lies in the bucket, where checksums guard the names in it: only the root of the keys is another. */
  readonly #keepsNames: boolean;
  readonly #etcd: EtcdClient;
  readonly #objects: ObjectStore;
  readonly #admin: Admin;
  readonly #producer: Producer<Buffer, Buffer, Buffer, Buffer>;

  private constructor(
    env: Readonly<Record<string, string>>,
    cluster: string,
    objects: ObjectStore,
    keepsNames: boolean,
  ) {
    this.cluster = cluster;
    this.#keepsNames = keepsNames;
    this.bucket = `${cluster}-bucket`;
    this.#objects = objects;
    // A busy machine is slow, not gone.
    this.#etcd = connectEtcd({ endpoints: [env.ETCD_ENDPOINT!], timeoutMs: 60_000 });
    const client = { clientId: "recorded", bootstrapBrokers: [env.KAFKA_BROKERS!] };
    this.#admin = new Admin(client);
    this.#producer = new Producer({ ...client, autocreateTopics: false });
  }

  /** `env`: of the stack. Every call makes another cluster. `keepsNames`: the topics are called as they were recorded. */
  static async open(env: Readonly<Record<string, string>>, keepsNames = false): Promise<RecordedServers> {
    const folders = await Array.fromAsync(Deno.readDir(`${env.STACK_DIR}/s3/data`));
    const taken = new Set(folders.map(({ name }) => name));
    let index = 0;
    while (taken.has(`${clusterName(index)}-bucket`)) index++;
    const cluster = clusterName(index);
    const bucket = `${cluster}-bucket`;
    // The S3 server of the stack keeps each bucket as a folder.
    await Deno.mkdir(`${env.STACK_DIR}/s3/data/${bucket}`);
    const objects = await openObjectStore(s3Spec.parse({
      type: "s3",
      endpoint: env.S3_ENDPOINT,
      bucket,
      access_key_id: env.S3_ACCESS_KEY,
      secret_access_key: env.S3_SECRET_KEY,
    }));
    return new RecordedServers(env, cluster, objects, keepsNames);
  }

  /** What a recorded topic is called here. */
  topicOf(topic: string): string {
    return this.#keepsNames ? topic : renameText(topic, this.cluster);
  }

  async createTopics(topics: readonly string[]): Promise<void> {
    await this.#admin.createTopics({
      topics: topics.map((topic) => this.topicOf(topic)),
      partitions: 1,
      replicas: 1,
    });
  }

  /** Appends, in order within each topic. */
  async produce(records: readonly RecordedRecord[]): Promise<void> {
    if (records.length === 0) return;
    await this.#producer.send({
      acks: 1,
      compression: "zstd",
      messages: records.map((recorded) => {
        const { topic, value, headers } = renameRecord(recorded, this.cluster);
        return {
          topic,
          partition: 0,
          timestamp: BigInt(recorded.ms),
          value: value === null ? undefined : Buffer.from(value),
          headers: new Map(headers.map(([name, content]) => [Buffer.from(name), Buffer.from(content)])),
        };
      }),
    });
  }

  /** One transaction, if it is not larger than etcd takes. */
  async write(changes: readonly EtcdChange[]): Promise<void> {
    for (let at = 0; at < changes.length; at += WRITES_AT_ONCE) {
      const part = changes.slice(at, at + WRITES_AT_ONCE).map(({ key, value }) => {
        const renamed = this.#keepsNames ? this.#below(key) : renameText(key, this.cluster);
        if (value === undefined) return { key: renamed };
        return { key: renamed, value: this.#keepsNames ? value : renameBytes(value, this.cluster) };
      });
      await this.#etcd.transact([], part);
    }
  }

  /** Keys of Woodpecker lie beside the root of 2.6. */
  #below(key: string): string {
    return `${this.cluster}/${key.startsWith(`${RECORDED_NAME}/`) ? key.slice(RECORDED_NAME.length + 1) : key}`;
  }

  async put(objects: Iterable<readonly [key: string, content: Uint8Array]>): Promise<void> {
    const queue = [...objects];
    const worker = async () => {
      for (let next = queue.pop(); next !== undefined; next = queue.pop()) await this.#objects.put(next[0], next[1]);
    };
    await Promise.all(Array.from({ length: 8 }, worker));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#etcd.close(), this.#objects.close(), this.#admin.close(), this.#producer.close()]);
  }
}
