import { runCommand } from "../command.ts";
import type { Component } from "../component.ts";

export interface KafkaOptions {
  dir: string;
  log: string;
  classpath: string;
  port: number;
  controllerPort: number;
  /** Options of `java`, such as where its archive of classes is. */
  java?: readonly string[];
  /** The broker's code is compiled for speed, as a production's is, not for a quick start. */
  isMeasured?: boolean;
}

/** One broker that is its own controller (KRaft). Writes its settings and formats its data folder once. */
export async function kafka(options: KafkaOptions): Promise<Component> {
  const { dir, port, controllerPort } = options;
  await Deno.writeTextFile(`${dir}/log4j.properties`, LOG4J);
  await Deno.writeTextFile(`${dir}/server.properties`, serverProperties(dir, port, controllerPort));
  const quick = "-XX:TieredStopAtLevel=1";
  const java = [
    ...["-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-Xshare:auto", ...options.java ?? []],
    ...[`-Dlog4j.configuration=file:${dir}/log4j.properties`, "-cp", options.classpath],
  ];
  await runCommand("java", [
    ...[quick, ...java],
    ...["kafka.tools.StorageTool", "format", "--ignore-formatted"],
    ...["-t", "AAAAAAAAQACAAAAAAAAAAQ", "-c", `${dir}/server.properties`],
  ], {
    purpose: "Formatting Kafka's data folder",
    log: options.log,
    missing: "Install Java 17 (Debian: apt-get install openjdk-17-jre-headless).",
  });
  return {
    name: "kafka",
    command: "java",
    args: [...options.isMeasured ? [] : [quick], ...java, "kafka.Kafka", `${dir}/server.properties`],
    env: {},
    cwd: dir,
    log: options.log,
    ready: { kind: "port", port },
  };
}

function serverProperties(dir: string, port: number, controllerPort: number): string {
  return Object.entries({
    "process.roles": "broker,controller",
    "node.id": 1,
    "controller.quorum.voters": `1@127.0.0.1:${controllerPort}`,
    "controller.listener.names": "CONTROLLER",
    "listeners": `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    "advertised.listeners": `PLAINTEXT://127.0.0.1:${port}`,
    "log.dirs": `${dir}/data`,
    "num.partitions": 1,
    "auto.create.topics.enable": true,
    "message.max.bytes": 10_485_760,
    "replica.fetch.max.bytes": 10_485_760,
    "offsets.topic.num.partitions": 4,
    "offsets.topic.replication.factor": 1,
    "transaction.state.log.num.partitions": 4,
    "transaction.state.log.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
    "group.initial.rebalance.delay.ms": 0,
  }).map(([key, value]) => `${key}=${value}\n`).join("");
}

const LOG4J = `log4j.rootLogger=WARN, out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=[%d] %p %m (%c)%n
`;
