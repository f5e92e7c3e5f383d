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
  source: undefined,
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

Deno.test("initFile reads the log through the source itself where that gives it whole, and says where it does not", () => {
  const of = (version: string, queue: Queue) =>
    initFile({ ...cluster(queue), version, generation: version.startsWith("3") ? 30 : 26 }, {
      ...NOTHING,
      source: "source:19530",
    });
  const whole = of("3.0.0", "kafka");
  assert.deepEqual(
    [read(whole.text).sources.log!.type, whole.assumed.filter((line) => line.startsWith("sources.log"))],
    ["milvus", []],
  );
  for (
    const [version, queue, type] of [["2.6.19", "woodpecker", "woodpecker"], ["3.0.0", "rocksmq", "files"]] as const
  ) {
    const { text, assumed } = of(version, queue);
    assert.equal(read(text).sources.log!.type, type);
    assert.match(assumed[0]!, /does not give its log whole/);
  }
});
