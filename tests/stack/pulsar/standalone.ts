/**
 * A Pulsar of one test's own: broker, bookie and metadata in one process, that it may stop, kill and configure. Ports and folder
 * are its own.
 */
import { runCommand } from "../command.ts";
import { eventually } from "../eventually.ts";
import { freePort } from "../free_port.ts";
import { INSTALL_JAVA, installPulsar } from "./install.ts";
import { PulsarProducer } from "./producer.ts";

export interface StandaloneOptions {
  /** Its code is compiled for speed, as a production's is, not for a quick start. */
  readonly isMeasured?: boolean;
  /** More lines of standalone.conf. */
  readonly settings?: Readonly<Record<string, string | number | boolean>>;
  /** Of the administration's requests. */
  readonly token?: string;
}

/** A message's place. */
export interface MessagePlace {
  readonly ledger: bigint;
  readonly entry: bigint;
  readonly batch: number;
}

/** A bookie refuses an entry that is larger by its own overhead than a frame may be, and every topic stalls with it. */
const MESSAGE_BYTES = 5 << 20;
const OPENED = ["java.nio", "java.io", "java.util.zip", "sun.net", "jdk.internal.misc", "jdk.internal.platform"];

export class PulsarStandalone implements AsyncDisposable {
  /** `127.0.0.1:port` of the binary protocol. */
  readonly address: string;
  /** Of the web service. */
  readonly admin: string;
  readonly dir: string;
  readonly #java: readonly string[];
  readonly #options: StandaloneOptions;
  readonly #classpath: string;
  #process: Deno.ChildProcess | undefined;
  /** Its last server was killed. */
  #hasDead = false;

  private constructor(
    dir: string,
    [port, web]: readonly number[],
    classpath: string,
    java: readonly string[],
    options: StandaloneOptions,
  ) {
    this.dir = dir;
    this.address = `127.0.0.1:${port}`;
    this.admin = `http://127.0.0.1:${web}`;
    this.#classpath = classpath;
    this.#java = java;
    this.#options = options;
  }

  static async start(options: StandaloneOptions = {}): Promise<PulsarStandalone> {
    const classpath = await installPulsar();
    const dir = await Deno.makeTempDir({ prefix: "tidemark-pulsar-" });
    const [port, web, bookie] = [freePort(), freePort(), freePort()];
    const settings = {
      clusterName: "standalone",
      brokerServicePort: port,
      webServicePort: web,
      bindAddress: "127.0.0.1",
      advertisedAddress: "127.0.0.1",
      allowLoopback: true,
      managedLedgerDefaultEnsembleSize: 1,
      managedLedgerDefaultWriteQuorum: 1,
      managedLedgerDefaultAckQuorum: 1,
      managedLedgerCacheSizeMB: 16,
      numIOThreads: 2,
      numHttpServerThreads: 8,
      numExecutorThreadPoolSize: 2,
      defaultNumberOfNamespaceBundles: 4,
      loadBalancerEnabled: false,
      systemTopicEnabled: false,
      topicLevelPoliciesEnabled: false,
      transactionCoordinatorEnabled: false,
      webSocketServiceEnabled: false,
      brokerDeleteInactiveTopicsEnabled: false,
      allowAutoTopicCreation: false,
      maxMessageSize: MESSAGE_BYTES,
      nettyMaxFrameSizeBytes: MESSAGE_BYTES + 10_240,
      journalSyncData: false,
      defaultRetentionTimeInMinutes: 10_080,
      defaultRetentionSizeInMB: -1,
      ...options.settings,
    };
    await Deno.writeTextFile(
      `${dir}/standalone.conf`,
      Object.entries(settings).map(([key, value]) => `${key}=${value}\n`).join(""),
    );
    await Deno.writeTextFile(
      `${dir}/log4j2.xml`,
      '<Configuration status="WARN"><Appenders><Console name="c"><PatternLayout pattern="%d %p %c{1} %m%n%throwable"/>' +
        '</Console></Appenders><Loggers><Root level="warn"><AppenderRef ref="c"/></Root></Loggers></Configuration>\n',
    );
    const java = [
      "-Xms128m",
      "-Xmx384m",
      "-XX:MaxDirectMemorySize=384m",
      "-XX:+UseSerialGC",
      ...options.isMeasured ? [] : ["-XX:TieredStopAtLevel=1"],
      ...OPENED.flatMap((name) => ["--add-opens", `java.base/${name}=ALL-UNNAMED`]),
      ...["--add-opens", "java.management/sun.management=ALL-UNNAMED"],
      ...["--add-opens", "jdk.management/com.sun.management.internal=ALL-UNNAMED"],
      "-Dio.netty.tryReflectionSetAccessible=true",
      `-Dlog4j.configurationFile=${dir}/log4j2.xml`,
      ...["-cp", classpath, "org.apache.pulsar.PulsarStandaloneStarter"],
      ...["--config", `${dir}/standalone.conf`, "-nfw", "-nss", "--bookkeeper-port", String(bookie)],
      ...["--metadata-dir", `${dir}/meta`, "--bookkeeper-dir", `${dir}/bookie`, "--advertised-address", "127.0.0.1"],
    ];
    const it = new PulsarStandalone(dir, [port, web], classpath, java, options);
    await it.up();
    return it;
  }

  /** Starts it on the data that it has. */
  async up(): Promise<void> {
    if (this.#hasDead) await this.#forgetDead();
    const log = `${this.dir}/log`;
    // A shell, so that the output goes to a file without this process reading it.
    const child = new Deno.Command("sh", {
      args: ["-c", 'log=$1; shift; exec java "$@" >>"$log" 2>&1', "sh", log, ...this.#java],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    this.#process = child;
    let ended = false;
    child.status.then(() => ended = true);
    await eventually("Pulsar serves its namespace", async () => {
      if (ended) throw new Error(`Pulsar ended: ${(await Deno.readTextFile(log)).slice(-3000)}`);
      return await this.#namespaceAnswers();
    });
  }

  async down(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    const child = this.#process;
    if (child === undefined) return;
    this.#process = undefined;
    child.kill("SIGCONT");
    child.kill(signal);
    await child.status;
    this.#hasDead = signal === "SIGKILL";
  }

  /** The same server on new disks, empty: ids of ledgers begin anew. */
  async rebuild(): Promise<void> {
    await this.down("SIGKILL");
    for (const folder of ["meta", "bookie"]) await Deno.remove(`${this.dir}/${folder}`, { recursive: true });
    this.#hasDead = false;
    await this.up();
  }

  /** `SIGSTOP`: it answers nothing, connections stay open. `SIGCONT`: it goes on. */
  signal(signal: "SIGSTOP" | "SIGCONT"): void {
    this.#process?.kill(signal);
  }

  /** A request to the web service, below `/admin/v2/`. Throws for an answer that is none of success. */
  async rest(method: string, path: string, body?: unknown): Promise<unknown> {
    const response = await fetch(`${this.admin}/admin/v2/${path}`, {
      method,
      headers: {
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...(this.#options.token === undefined ? {} : { authorization: `Bearer ${this.#options.token}` }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text === "" ? undefined : JSON.parse(text);
  }

  /** A server that was killed and started again does not see its own bookie for moments, and creates nothing then. */
  async createTopic(topic: string): Promise<void> {
    let refused: unknown;
    await eventually(`the topic ${topic} is created`, async () => {
      refused = undefined;
      try {
        await this.rest("PUT", `persistent/public/default/${topic}`);
      } catch (error) {
        if (error instanceof Error && error.message.includes("Not enough non-faulty bookies")) throw error;
        refused = error;
      }
      return true;
    });
    if (refused !== undefined) throw refused;
  }

  async deleteTopic(topic: string): Promise<void> {
    await this.rest("DELETE", `persistent/public/default/${topic}?force=true`);
  }

  /** The broker lets the topic go and loads it again when somebody asks for it, as when it moves to another broker. */
  async unload(topic: string): Promise<void> {
    await this.rest("PUT", `persistent/public/default/${topic}/unload`);
  }

  /** What the namespace keeps behind what its subscriptions have read. */
  async setRetention(minutes: number, megabytes = minutes === 0 ? 0 : -1): Promise<void> {
    await this.rest("POST", "namespaces/public/default/retention", {
      retentionTimeInMinutes: minutes,
      retentionSizeInMB: megabytes,
    });
  }

  /** Removes the closed ledgers of a topic before `place`, or all of them, as retention does. */
  async trim(topic: string, before?: MessagePlace): Promise<void> {
    const path = `persistent/public/default/${topic}`;
    const hold = `${path}/subscription/hold`;
    if (before !== undefined) {
      await this.rest("PUT", hold, {
        ledgerId: before.ledger.toString(),
        entryId: before.entry.toString(),
        partitionIndex: -1,
        excluded: false,
      });
    }
    await this.setRetention(0);
    try {
      const closed = async () => {
        const { ledgers } = await this.rest("GET", `${path}/internalStats`) as { ledgers: { ledgerId: number }[] };
        return ledgers.filter((_, i) => i < ledgers.length - 1)
          .filter(({ ledgerId }) => before === undefined || BigInt(ledgerId) < before.ledger);
      };
      await eventually(`the old ledgers of ${topic} are gone`, async () => {
        await this.rest("POST", `${path}/trim`);
        return (await closed()).length === 0;
      });
    } finally {
      await this.setRetention(10_080);
      if (before !== undefined) await this.rest("DELETE", `${hold}?force=true`);
    }
  }

  /** Names of a topic's subscriptions: those that hold its messages, and those that do not. */
  async subscriptions(topic: string): Promise<{ durable: string[]; other: string[] }> {
    const { subscriptions } = await this.rest("GET", `persistent/public/default/${topic}/stats`) as {
      subscriptions: Record<string, { durable: boolean }>;
    };
    const names = (durable: boolean) =>
      Object.keys(subscriptions).filter((name) => subscriptions[name]!.durable === durable);
    return { durable: names(true), other: names(false) };
  }

  /** Short names of the topics of `public/default`. */
  async topics(): Promise<string[]> {
    const names = await this.rest("GET", "persistent/public/default") as string[];
    return names.map((name) => name.replace("persistent://public/default/", ""));
  }

  async producer(topic: string): Promise<PulsarProducer> {
    const { token } = this.#options;
    return await PulsarProducer.open(this.address, `persistent://public/default/${topic}`, token);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.down("SIGKILL");
    await Deno.remove(this.dir, { recursive: true }).catch(() => {});
  }

  /** What a cluster's metadata do by themselves once a session has expired. */
  async #forgetDead(): Promise<void> {
    await runCommand("java", [
      ...["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", this.#classpath],
      ...[`${import.meta.dirname!}/ForgetDead.java`, `${this.dir}/meta`],
    ], { purpose: "Removing what the killed Pulsar held", log: `${this.dir}/forget.log`, missing: INSTALL_JAVA });
    this.#hasDead = false;
  }

  async #namespaceAnswers(): Promise<boolean> {
    try {
      await this.rest("GET", "namespaces/public/default");
      return true;
    } catch {
      return false;
    }
  }
}
