/** The log source: the message queue that carries the source's channels, read in order. */
export type { DecodeContext, Decoded, RecordDecoder, SkipReason, TickMark } from "./decoded.ts";
export { decodeRecord } from "./decode.ts";
export { isGeneration2 } from "./generation.ts";
export { type RecordFacts, recordFacts } from "./facts.ts";
export { followFlushes, replicateTopic, type RequestedFlush } from "./flushes.ts";
export type { DumpChannel } from "./dump/client.ts";
export { type DumpSurroundings, openDumpLog } from "./dump/open.ts";
export { leavesOutTransactions } from "./dump/releases.ts";
export { type DumpLogConfig, dumpLogSpec } from "./dump/spec.ts";
export { openFilesLog } from "./files/open.ts";
export { type FilesLogConfig, filesLogSpec } from "./files/spec.ts";
export { type FollowOptions, followPchannel, type LogOddity } from "./follow.ts";
export {
  inspectedTopics,
  inspectLog,
  type InspectLogOptions,
  type InspectorOptions,
  inspectRecords,
  type Line,
  parseRecords,
} from "./inspect.ts";
export type { KafkaLogOptions } from "./kafka/source.ts";
export { openKafkaLog } from "./kafka/open.ts";
export type { PulsarLogOptions } from "./pulsar/source.ts";
export { openPulsarLog } from "./pulsar/open.ts";
export { type PulsarLogConfig, pulsarLogSpec } from "./pulsar/spec.ts";
export { type OrderCounts, TickOrderer, type TickOrdererOptions } from "./order.ts";
export { lostByBounds, lostByIdentity, lostByRemoval } from "./position.ts";
export {
  decodeReplicate,
  followReplicate,
  type FollowReplicateOptions,
  REPLICATE_SUFFIX,
  type ReplicatePage,
  type ReplicateRequest,
} from "./replicate.ts";
export { type KafkaLogConfig, kafkaLogSpec } from "./kafka/spec.ts";
export type { LogState } from "./outage.ts";
export { pchannelOfVchannel, VchannelBook } from "./vchannel_book.ts";
export { type NodeChannel, WoodpeckerNodes } from "./woodpecker/nodes.ts";
export { openWoodpeckerLog, type WoodpeckerSurroundings } from "./woodpecker/open.ts";
export { createWoodpeckerLog, type WoodpeckerLogOptions } from "./woodpecker/source.ts";
export { type WoodpeckerKeys, WoodpeckerLogs } from "./woodpecker/logs.ts";
export { type WoodpeckerLogConfig, woodpeckerLogSpec } from "./woodpecker/spec.ts";
