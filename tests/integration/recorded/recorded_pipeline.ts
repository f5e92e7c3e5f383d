/** Runs over a recording in real servers, into targets in memory that take every type and keep rows exactly. */
import { openBinlogSource, s3BinlogSpec } from "../../../sources/binlog/mod.ts";
import type { LogSource } from "../../../pipeline/model/mod.ts";
import { channelOptions, openChannel } from "../../../sinks/milvus/mod.ts";
import {
  dumpLogSpec,
  followPchannel,
  kafkaLogSpec,
  openDumpLog,
  openKafkaLog,
  openWoodpeckerLog,
  recordFacts,
  woodpeckerLogSpec,
} from "../../../sources/log/mod.ts";
import { positionsOf } from "../../../pipeline/positions/mod.ts";
import { type EtcdMetaConfig, etcdMetaSpec, openEtcdMeta } from "../../../sources/meta/mod.ts";
import type { DumpServer } from "../../fakes/dump_server.ts";
import { ExactRowSink } from "../../fakes/exact_row_sink.ts";
import { FakePipeline, type FakePipelineOptions, type PipelineSource } from "../../fakes/pipeline.ts";
import { differences, type Moment, type RecordedServers } from "../../stack/recorded/mod.ts";

export interface RecordedSource extends PipelineSource, AsyncDisposable {}

/** The three sources of a loaded recording. `dump`: the server that gives its log, in the place of the queue. */
export async function recordedSource(
  servers: RecordedServers,
  env: Readonly<Record<string, string>>,
  queue: "kafka" | "woodpecker" = "kafka",
  dump?: DumpServer,
): Promise<RecordedSource> {
  const etcd = etcdMetaSpec.parse({ type: "etcd", endpoints: [env.ETCD_ENDPOINT], root_path: servers.cluster });
  const meta = await openEtcdMeta(etcd, { positions: positionsOf(queue) });
  const bucket = s3BinlogSpec.parse({
    type: "s3",
    endpoint: env.S3_ENDPOINT,
    bucket: servers.bucket,
    access_key_id: env.S3_ACCESS_KEY,
    secret_access_key: env.S3_SECRET_KEY,
  });
  const log = dump !== undefined
    ? await openDump(dump, etcd)
    : queue === "kafka"
    ? await openKafkaLog(kafkaLogSpec.parse({ type: "kafka", brokers: [env.KAFKA_BROKERS] }))
    : await openWoodpeckerLog(woodpeckerLogSpec.parse({ type: "woodpecker" }), { etcd, binlogs: bucket });
  const binlogs = await openBinlogSource(bucket);
  return {
    meta,
    log,
    binlogs,
    follow: (request, signal) => followPchannel(log, request, signal),
    describe: recordFacts,
    async [Symbol.asyncDispose]() {
      await Promise.all([meta.close(), log.close(), binlogs.close()]);
    },
  };
}

async function openDump(server: DumpServer, etcd: EtcdMetaConfig): Promise<LogSource> {
  const config = dumpLogSpec.parse({ type: "milvus", address: server.address, queue: server.ids.queue });
  const channel = openChannel(channelOptions(config, (path) => Deno.readFileSync(path)));
  return await openDumpLog(config, { etcd, channel });
}

/** A pipeline from `source` whose base takes deletes from the log, too, as it does from a living source. */
export function recordedPipeline(source: PipelineSource, options: FakePipelineOptions): FakePipeline {
  const pipeline = new FakePipeline(source, options);
  pipeline.override = { baseDeletes: "log_and_files" };
  return pipeline;
}

/** What the recorder's own writer of storage V2 left empty in the files: vectors of arrays of structs. */
const EMPTIED = /^default\.structs \S+ items\[emb\]: .*, found \[\]$/;

/** Differences that the recording itself does not explain. */
export function unexplained(found: readonly string[]): string[] {
  return found.filter((line) => !EMPTIED.test(line));
}

/** What a sink holds against what was true at `moment`: a sentence a difference. */
export function differencesAt({ rows }: Moment, sink: ExactRowSink): string[] {
  const found = rows.flatMap((truth) => {
    const target = { db: truth.db, name: truth.collection };
    const there = sink.collections.has(`${truth.db}/${truth.collection}`)
      ? { schema: sink.schemaOf(target), partitions: sink.rowsOf(target) }
      : undefined;
    return differences(truth, there);
  });
  const known = new Set(rows.map(({ db, collection }) => `${db}/${collection}`));
  for (const key of sink.collections.keys()) if (!known.has(key)) found.push(`${key} should not be there`);
  return found;
}
