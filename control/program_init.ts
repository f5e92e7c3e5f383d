/** `init`. */
import { type Command, Option } from "commander";
import { examples, type ProgramParts } from "./program_parts.ts";
import type { SharedOptions } from "./session.ts";
import { runSession } from "./session_start.ts";

interface Options extends SharedOptions {
  readonly etcd: readonly string[];
  readonly target: string;
  readonly brokers?: readonly string[];
  readonly pulsar?: string;
  readonly source?: string;
  readonly folder?: string;
  readonly s3?: string;
  readonly bucket?: string;
  readonly filesRoot?: string;
  readonly rootPath?: string;
  readonly out: string;
  readonly force?: boolean;
}

export function addInitCommand(program: Command, { terminal, done, shared }: ProgramParts): void {
  const several = (flags: string, what: string) =>
    new Option(flags, what).argParser((value: string, before: string[] | undefined) => [
      ...before ?? [],
      ...value.split(","),
    ]);
  shared(program.command("init"), { config: false })
    .description("find out what a cluster uses, and write a first pipeline.yaml")
    .addOption(several("--etcd <host:port>", "etcd of the source; several with commas").makeOptionMandatory())
    .requiredOption("--target <host:port>", "the Milvus to copy to")
    .addOption(several("--brokers <host:port>", "Kafka of the source (kafka.brokerList)"))
    .option("--pulsar <address>", "Pulsar of the source (pulsar.address)")
    .option("--source <host:port>", "the source itself, to read its log through it instead of its queue (2.6.20, 3.0)")
    .option("--folder <path>", "the source's files, where they are in a folder (localStorage.path)")
    .option("--s3 <url>", "the source's S3 (minio.address and minio.port)")
    .option("--bucket <name>", "bucket of the source's files (minio.bucketName)")
    .option("--files-root <path>", "their place in the bucket (minio.rootPath)")
    .option("--root-path <path>", "which cluster, where the etcd has several (etcd.rootPath)")
    .option("--out <file>", "where to write", "pipeline.yaml")
    .option("--force", "replace the file if there is one")
    .addHelpText(
      "after",
      examples([
        ["tidemark init --etcd etcd:2379 --target dr:19530", "what etcd tells, the rest assumed and said"],
        [
          "tidemark init --etcd etcd:2379 --target dr:19530 --brokers kafka:9092 --s3 http://minio:9000 --bucket a-bucket",
          "all of it",
        ],
      ]),
    )
    .action(async (options: Options) => {
      const { initCommand } = await import("./commands/init.ts");
      const { pulsar, source, folder, s3, bucket, filesRoot, rootPath, brokers = [], force = false } = options;
      const given = { ...options, brokers, pulsar, source, folder, s3, bucket, filesRoot, rootPath, force };
      done(await runSession(terminal, options, (context) => initCommand(context, given)));
    });
}
