/**
 * A Kafka broker of one test's own, that it may stop, kill and configure. Its port and folder are its own, so it never meets
 * the shared broker; what it runs is installed where it is missing.
 */
import { Buffer } from "node:buffer";
import { Admin, type MessageToProduce, Producer } from "@platformatic/kafka";
import { eventually } from "./eventually.ts";
import { freePort } from "./free_port.ts";
import { installKafkaClasspath } from "./install.ts";
import { kafkaArchiveOption } from "./kafka_archive.ts";

export interface BrokerOptions {
  /** Users of SASL/PLAIN, name -> password; none: no login. */
  readonly users?: Readonly<Record<string, string>>;
  /** More lines of server.properties. */
  readonly properties?: Readonly<Record<string, string>>;
}

export interface ProducedRecord {
  readonly value: Uint8Array | null;
  readonly headers?: Readonly<Record<string, Uint8Array>>;
}

export class Broker implements AsyncDisposable {
  readonly address: string;
  readonly #dir: string;
  readonly #java: string[];
  readonly #options: BrokerOptions;
  #process: Deno.ChildProcess | undefined;

  private constructor(address: string, dir: string, java: string[], options: BrokerOptions) {
    this.address = address;
    this.#dir = dir;
    this.#java = java;
    this.#options = options;
  }

  /** Formats a fresh folder and starts a broker on free ports. */
  static async start(options: BrokerOptions = {}): Promise<Broker> {
    const dir = await Deno.makeTempDir({ prefix: "tidemark-kafka-" });
    const [port, control] = [freePort(), freePort()];
    const protocol = options.users === undefined ? "PLAINTEXT" : "SASL_PLAINTEXT";
    const properties: Record<string, string> = {
      "process.roles": "broker,controller",
      "node.id": "1",
      "controller.quorum.voters": `1@127.0.0.1:${control}`,
      "controller.listener.names": "CONTROLLER",
      "listeners": `${protocol}://127.0.0.1:${port},CONTROLLER://127.0.0.1:${control}`,
      "advertised.listeners": `${protocol}://127.0.0.1:${port}`,
      "listener.security.protocol.map": `CONTROLLER:PLAINTEXT,${protocol}:${protocol}`,
      "inter.broker.listener.name": protocol,
      "log.dirs": `${dir}/data`,
      "num.partitions": "1",
      "auto.create.topics.enable": "false",
      "message.max.bytes": "10485760",
      "offsets.topic.num.partitions": "1",
      "offsets.topic.replication.factor": "1",
      "transaction.state.log.num.partitions": "1",
      "transaction.state.log.replication.factor": "1",
      "transaction.state.log.min.isr": "1",
      "log.retention.check.interval.ms": "500",
      "file.delete.delay.ms": "100",
      ...options.properties,
    };
    if (options.users !== undefined) {
      const users = Object.entries(options.users).map(([name, password]) => `user_${name}="${password}"`).join(" ");
      const [name, password] = Object.entries(options.users)[0]!;
      const module = "org.apache.kafka.common.security.plain.PlainLoginModule required";
      properties["sasl.enabled.mechanisms"] = "PLAIN";
      properties["sasl.mechanism.inter.broker.protocol"] = "PLAIN";
      properties[`listener.name.${protocol.toLowerCase()}.plain.sasl.jaas.config`] =
        `${module} username="${name}" password="${password}" ${users};`;
    }
    await Deno.writeTextFile(
      `${dir}/server.properties`,
      Object.entries(properties).map(([key, value]) => `${key}=${value}\n`).join(""),
    );
    await Deno.writeTextFile(
      `${dir}/log4j.properties`,
      "log4j.rootLogger=WARN, out\nlog4j.appender.out=org.apache.log4j.ConsoleAppender\n" +
        "log4j.appender.out.layout=org.apache.log4j.PatternLayout\n",
    );
    const java = [
      "-Xms128m",
      "-Xmx256m",
      "-XX:+UseSerialGC",
      "-XX:TieredStopAtLevel=1",
      kafkaArchiveOption(),
      `-Dlog4j.configuration=file:${dir}/log4j.properties`,
      "-cp",
      await installKafkaClasspath(),
    ];
    const broker = new Broker(`127.0.0.1:${port}`, dir, java, options);
    await broker.#runTool(
      "kafka.tools.StorageTool",
      "format",
      "-t",
      "AAAAAAAAQACAAAAAAAAAAQ",
      "-c",
      broker.#properties,
    );
    await broker.up();
    return broker;
  }

  get #properties(): string {
    return `${this.#dir}/server.properties`;
  }

  async #runTool(...args: string[]): Promise<void> {
    const result = await new Deno.Command("java", { args: [...this.#java, ...args], stdout: "null", stderr: "piped" })
      .output();
    if (!result.success) throw new Error(`${args[0]} failed: ${new TextDecoder().decode(result.stderr)}`);
  }

  /** Changes a bit on the broker's disk, in the first byte of `bytes`, which partition 0 of the topic holds once, uncompressed. */
  async rot(topic: string, bytes: Uint8Array): Promise<void> {
    const path = `${this.#dir}/data/${topic}-0/00000000000000000000.log`;
    const found = Buffer.from(await Deno.readFile(path)).indexOf(bytes);
    if (found < 0) throw new Error(`${path} does not hold the bytes`);
    using file = await Deno.open(path, { write: true });
    await file.seek(found, Deno.SeekMode.Start);
    await file.write(Uint8Array.of(bytes[0]! ^ 1));
  }

  /** Starts the stopped broker again, same data, same port; resolves when it answers. */
  async up(): Promise<void> {
    this.#process = new Deno.Command("java", {
      args: [...this.#java, "kafka.Kafka", this.#properties],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    await eventually(`the broker at ${this.address} answers`, async () => {
      const admin = this.admin();
      try {
        await admin.listTopics({ includeInternals: false });
        return true;
      } finally {
        await admin.close();
      }
    });
  }

  /** `SIGTERM` lets it end in order; `SIGKILL` does not. Resolves when it is gone. */
  async down(signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<void> {
    const process = this.#process;
    if (process === undefined) return;
    this.#process = undefined;
    process.kill(signal);
    await process.status;
  }

  /** `SIGSTOP`: it hangs, connections stay open. `SIGCONT`: it goes on. */
  signal(signal: "SIGSTOP" | "SIGCONT"): void {
    this.#process?.kill(signal);
  }

  get #client() {
    const user = this.#options.users === undefined ? undefined : Object.entries(this.#options.users)[0]!;
    return {
      clientId: "test",
      bootstrapBrokers: [this.address],
      retries: 0,
      ...(user === undefined ? {} : { sasl: { mechanism: "PLAIN" as const, username: user[0], password: user[1] } }),
    };
  }

  admin(): Admin {
    return new Admin(this.#client);
  }

  async createTopic(topic: string, configs: Record<string, string> = {}): Promise<void> {
    const admin = this.admin();
    try {
      await admin.createTopics({
        topics: [topic],
        partitions: 1,
        replicas: 1,
        configs: Object.entries(configs).map(([name, value]) => ({ name, value })),
      });
    } finally {
      await admin.close();
    }
  }

  async deleteTopic(topic: string): Promise<void> {
    const admin = this.admin();
    try {
      await admin.deleteTopics({ topics: [topic] });
    } finally {
      await admin.close();
    }
  }

  /** Removes everything below `offset`, as retention does. */
  async deleteRecords(topic: string, offset: bigint): Promise<void> {
    const admin = this.admin();
    try {
      await admin.deleteRecords({ topics: [{ name: topic, partitions: [{ partition: 0, offset }] }] });
    } finally {
      await admin.close();
    }
  }

  /** Appends to partition 0, `batch` records at a time. */
  async produce(
    topic: string,
    records: Iterable<ProducedRecord>,
    options: { batch?: number; compression?: "none" | "zstd" | "gzip" } = {},
  ): Promise<void> {
    const producer = new Producer<Buffer, Buffer, Buffer, Buffer>({
      ...this.#client,
      retries: 3,
      autocreateTopics: false,
    });
    try {
      let messages: MessageToProduce<Buffer, Buffer, Buffer, Buffer>[] = [];
      const send = async () => {
        if (messages.length === 0) return;
        await producer.send({ messages, compression: options.compression ?? "zstd", acks: 1 });
        messages = [];
      };
      for (const { value, headers } of records) {
        messages.push({
          topic,
          partition: 0,
          value: value === null ? undefined : Buffer.from(value),
          headers: new Map(Object.entries(headers ?? {}).map(([key, text]) => [Buffer.from(key), Buffer.from(text)])),
        });
        if (messages.length >= (options.batch ?? 500)) await send();
      }
      await send();
    } finally {
      await producer.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.down("SIGKILL");
    await Deno.remove(this.#dir, { recursive: true }).catch(() => {});
  }
}

/** Removes everything below `offset` from a topic of the shared broker at `brokers`, as retention does. */
export async function deleteRecordsBefore(brokers: string, topic: string, offset: bigint): Promise<void> {
  const admin = new Admin({ clientId: "test", bootstrapBrokers: brokers.split(","), retries: 0 });
  try {
    await admin.deleteRecords({ topics: [{ name: topic, partitions: [{ partition: 0, offset }] }] });
  } finally {
    await admin.close();
  }
}
