import assert from "node:assert/strict";
import { loadConfig } from "../../config/mod.ts";
import { type InitAnswers, initFile } from "../../control/init_file.ts";
import type { Queue } from "../../pipeline/model/mod.ts";
import type { FoundCluster } from "../../sources/meta/mod.ts";

const NOTHING: InitAnswers = {
  etcd: ["etcd:2379"],
  target: "dr:19530",
  brokers: [],
  pulsar: undefined,
  folder: undefined,
  s3: undefined,
  bucket: undefined,
  filesRoot: undefined,
};

function cluster(queue: Queue | undefined): FoundCluster {
  return {
    rootPath: "by-dev",
    metaSubPath: "meta",
    version: "2.3.5",
    generation: 23,
    queue: queue === undefined ? undefined : { queue, because: "the checkpoints of its channels" },
    collections: ["default.books"],
    segment: undefined,
  };
}

/** The file as every command reads it. */
function read(text: string) {
  const { config, problems } = loadConfig(["pipeline.yaml"], { environment: () => undefined, readText: () => text });
  assert.deepEqual(problems, []);
  return config!;
}

for (const queue of ["kafka", "pulsar", "rocksmq", "woodpecker", undefined] as const) {
  Deno.test(`initFile lints though only etcd and a target are known, and says what it assumes (${queue ?? "no queue known"})`, () => {
    const { text, assumed } = initFile(cluster(queue), NOTHING);
    const { sources } = read(text);
    assert.equal(sources.log!.type, queue === "woodpecker" ? "woodpecker" : "files");
    assert.deepEqual(assumed.filter((line) => line.startsWith("sources.binlogs")).length, 3);
    assert.equal(assumed.some((line) => line.startsWith("sources.log")), queue === "kafka" || queue === "pulsar");
  });
}

Deno.test("initFile takes what it is given: brokers, Pulsar, a folder, a bucket", () => {
  const kafka = initFile(cluster("kafka"), { ...NOTHING, brokers: ["a:9092", "b:9092"], folder: "/data" });
  const byKafka = read(kafka.text).sources;
  assert.deepEqual([byKafka.log!.type, byKafka.binlogs!.type, kafka.assumed], ["kafka", "file", []]);
  const given = { s3: "http://minio:9000", bucket: "b", filesRoot: "r" };
  const pulsar = initFile(cluster("pulsar"), { ...NOTHING, pulsar: "pulsar://pulsar:6650", ...given });
  const byPulsar = read(pulsar.text).sources;
  assert.deepEqual([byPulsar.log!.type, byPulsar.binlogs!.type, pulsar.assumed], ["pulsar", "s3", []]);
});
