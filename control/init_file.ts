/** The first configuration of somebody who has none: what was found, and what was not with where it stands. */
import { leavesOutTransactions } from "../sources/log/mod.ts";
import type { FoundCluster } from "../sources/meta/mod.ts";
import { plural } from "../pipeline/units/mod.ts";

export interface InitAnswers {
  readonly etcd: readonly string[];
  readonly target: string;
  readonly brokers: readonly string[];
  readonly pulsar: string | undefined;
  /** The source itself, where its log is to be read through it. */
  readonly source: string | undefined;
  /** A folder of the source's files, or undefined for a bucket. */
  readonly folder: string | undefined;
  readonly s3: string | undefined;
  readonly bucket: string | undefined;
  readonly filesRoot: string | undefined;
}

export interface InitFile {
  readonly text: string;
  /** What the file only assumes, one sentence each. */
  readonly assumed: readonly string[];
}

/** A commented `pipeline.yaml` that lints. */
export function initFile(cluster: FoundCluster, answers: InitAnswers): InitFile {
  const assumed: string[] = [];
  const lines = [
    "# Written by `tidemark init`. Every key: docs/configuration.md",
    `# Source: Milvus ${
      cluster.version === "" ? lineOf(cluster.generation) : cluster.version
    }, ${cluster.collections.length} ${plural(cluster.collections.length, "collection")}${
      cluster.version === "" ? "; no server of it is registered, so it may be stopped" : ""
    }`,
    "pipeline: my-copy # the name under which the state is kept",
    "sources:",
    "  meta:",
    "    type: etcd",
    `    endpoints: ${list(answers.etcd)}`,
    `    root_path: ${text(cluster.rootPath)} # etcd.rootPath of the source's milvus.yaml; found in etcd`,
    ...cluster.metaSubPath === "meta" ? [] : [`    meta_sub_path: ${text(cluster.metaSubPath)} # etcd.metaSubPath`],
    ...logLines(cluster, answers, assumed),
    ...fileLines(answers, assumed),
    "transforms:",
    '  select: { include: ["*.*"] } # database.collection; what is not to be copied goes into exclude',
    "sinks:",
    "  replica:",
    "    type: milvus",
    `    address: ${text(answers.target)}`,
    '    token: "${TARGET_TOKEN:-root:Milvus}" # user:password; does no harm where the target asks for none',
    "state: { type: file, path: ./state }",
    "",
  ];
  return { text: lines.join("\n"), assumed };
}

/** The first release line with a log that the server itself gives. */
const DUMPS = 26;

function logLines(cluster: FoundCluster, { brokers, pulsar, source }: InitAnswers, assumed: string[]): string[] {
  const { queue, generation, version } = cluster;
  const said = queue === undefined
    ? "nothing in etcd says which queue the source uses"
    : `the source uses ${queue.queue}, by ${queue.because}`;
  const files = (why: string) => [
    `  # ${said}; ${why}.`,
    "  # Without a queue the copy goes from flush to flush of the source.",
    "  log: { type: files, poll: 30s }",
  ];
  if (source !== undefined) {
    const dumps = queue !== undefined && queue.queue !== "rocksmq" && generation >= DUMPS;
    if (dumps && !leavesOutTransactions(version)) {
      return [`  log: { type: milvus, address: ${text(source)}, queue: ${queue.queue} } # ${said}`];
    }
    assumed.push(
      `sources.log: ${
        version === "" ? `a ${lineOf(generation)}` : version
      } does not give its log whole (2.6.20 and 3.0 do, with Kafka, Pulsar or Woodpecker), so --source is left out`,
    );
  }
  switch (queue?.queue) {
    case "kafka":
      if (brokers.length === 0) {
        assumed.push(
          "sources.log: brokers were not given (kafka.brokerList of the source's milvus.yaml, --brokers), so the files are followed",
        );
        return files("give its brokers (kafka.brokerList) to follow it: log: { type: kafka, brokers: [...] }");
      }
      return [`  log: { type: kafka, brokers: ${list(brokers)} } # ${said}`];
    case "pulsar":
      if (pulsar === undefined) {
        assumed.push(
          "sources.log: Pulsar's address was not given (pulsar.address and port, --pulsar), so the files are followed",
        );
        return files("give its address to follow it: log: { type: pulsar, ... }");
      }
      return [`  log: { type: pulsar, address: ${text(pulsar)} } # ${said}`];
    case "woodpecker":
      return [`  log: { type: woodpecker } # ${said}; it lies in the same etcd and storage`];
    default:
      return files(
        queue === undefined ? "mq.type of its milvus.yaml does" : "it is inside the server and cannot be read",
      );
  }
}

function fileLines({ folder, s3, bucket, filesRoot }: InitAnswers, assumed: string[]): string[] {
  if (folder !== undefined) {
    return [`  binlogs: { type: file, path: ${text(folder)} } # localStorage.path of the source's milvus.yaml`];
  }
  const guess = (key: string, given: string | undefined, otherwise: string, stands: string) => {
    if (given === undefined) {
      assumed.push(`sources.binlogs.${key}: ${otherwise} is assumed; it is ${stands} of the source's milvus.yaml`);
    }
    return `    ${key}: ${text(given ?? otherwise)} # ${stands}${given === undefined ? ": assumed" : ""}`;
  };
  return [
    "  binlogs:",
    "    type: s3",
    guess("endpoint", s3, "http://localhost:9000", "minio.address and minio.port"),
    guess("bucket", bucket, "a-bucket", "minio.bucketName"),
    guess("root_path", filesRoot, "files", "minio.rootPath"),
    '    access_key_id: "${S3_KEY:-minioadmin}" # minio.accessKeyID',
    '    secret_access_key: "${S3_SECRET:-minioadmin}" # minio.secretAccessKey',
  ];
}

function lineOf(generation: number): string {
  return `${Math.floor(generation / 10)}.${generation % 10}`;
}

function text(value: string): string {
  return JSON.stringify(value);
}

function list(values: readonly string[]): string {
  return `[${values.map(text).join(", ")}]`;
}
