/**
 * Recordings of real clusters as sources for tests: a recording is loaded into real etcd, Kafka and S3 under a cluster name of
 * its own, at rest or change by change, and what a run made of it is compared with what the recording knows to be true.
 *
 * @example
 * await using player = await Player.open(readRecording("2.6.19-kafka-v2"), stackEnv());
 * await player.load();
 */
export { Player, type PlayOptions } from "./player.ts";
export { type Moment, readRecording, type Recording, type TrueRows } from "./recording.ts";
export { type RecordedServers } from "./servers.ts";
export { type Step, timestampOf } from "./timeline.ts";
export { differences, type HeldCollection, type HeldRow } from "./truth.ts";
