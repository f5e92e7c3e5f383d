/** A source in memory whose log lies on a real Pulsar, written as Milvus writes it. */
import { openPulsarLog, pulsarLogSpec } from "../../../sources/log/mod.ts";
import { pulsarPosition } from "../../../pipeline/positions/mod.ts";
import { CompressionType } from "../../../pipeline/proto/gen/pulsar_api_pb.ts";
import type { FakeQueue } from "../../fakes/queued_source.ts";
import { QueueWriter } from "../../fakes/queue_writer.ts";
import { eventually } from "../eventually.ts";
import type { ProduceOptions, PulsarProducer } from "./producer.ts";
import type { PulsarStandalone } from "./standalone.ts";

let queues = 0;

/** Generation 1 writes one message an entry, by zstd; generation 2 batches of plain ones. */
const PRODUCED: Readonly<Record<1 | 2, ProduceOptions>> = {
  1: { batch: 0, compression: CompressionType.ZSTD, window: 8 },
  2: { batch: 5, compression: CompressionType.NONE, window: 1 },
};

/**
 * Topics of its own on `server`, which goes on when it is disposed. A restart, which takes a broker some ten seconds, is only there
 * for generation 1: to the broker there is no difference.
 */
export async function pulsarQueue(server: PulsarStandalone, generation: 1 | 2): Promise<FakeQueue> {
  const name = `queue-${queues++}`;
  const pchannels = [`${name}-dml_0`, `${name}-dml_1`];
  for (const topic of pchannels) await server.createTopic(topic);
  const producers = new Map<string, PulsarProducer>();
  const silence = async () => {
    for (const producer of producers.values()) await producer[Symbol.asyncDispose]();
    producers.clear();
  };
  const writer = new QueueWriter(async (topic, records) => {
    if (!producers.has(topic)) producers.set(topic, await server.producer(topic));
    const messages = records.map(({ value, headers }) => ({ value, headers: Object.fromEntries(headers) }));
    return (await producers.get(topic)!.send(messages, PRODUCED[generation])).map(pulsarPosition);
  });
  const open = () => openPulsarLog(pulsarLogSpec.parse({ type: "pulsar", address: server.address }));
  const restart = () =>
    writer.meanwhile(async () => {
      await silence();
      await server.down("SIGKILL");
      await server.up();
      // It recovers the topics' ledgers first, and refuses writers until then.
      await eventually("the topics take writers", async () => {
        for (const topic of pchannels) await (await server.producer(topic))[Symbol.asyncDispose]();
        return true;
      });
    });
  let log = await open();
  return {
    generation,
    pchannels,
    tickMs: 50,
    get log() {
      return log;
    },
    reopen: async () => {
      await log.close();
      log = await open();
    },
    create: (topic) => writer.create(topic),
    append: (record) => writer.append(record),
    position: (topic, index) => writer.position(topic, index),
    written: () => writer.written(),
    move: () =>
      writer.meanwhile(async () => {
        await silence();
        for (const topic of pchannels) await server.unload(topic);
      }),
    ...(generation === 1 ? { restart } : {}),
    [Symbol.asyncDispose]: async () => {
      await writer.written();
      await silence();
      await log.close();
    },
  };
}
