/** Configuration of how much a run may take of memory, network and servers. */
import { z } from "zod";
import { duration, size } from "../pipeline/units/mod.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

export const limitsSpec = z.strictObject({
  in_flight: size({ min: MIB }).prefault("64MiB").describe(
    "Bytes read from the log and not yet acknowledged by every sink; bounds the memory of the tail",
  ),
  base_parallelism: z.int().min(1).max(256).default(4).describe("Segments that the base copy reads at once"),
  base_memory: size({ min: MIB }).prefault("128MiB").describe(
    "Memory for the tables that find deleted and superseded rows of the base copy",
  ),
  bandwidth: size().prefault(0).describe("Bytes per second that the base copy may move, 0 for no limit"),
  batch_rows: z.int().min(1).max(1_000_000).default(8192).describe("Rows after which a batch of the tail is sent"),
  batch_size: size({ min: KIB }).prefault("4MiB").describe("Size after which a batch of the tail is sent"),
  lane_depth: z.int().min(1).max(64).default(2).describe(
    "Batches of one shard under way at once, where they have no key in common",
  ),
  refused_rows: z.int().min(0).max(1_000_000).default(10_000).describe(
    "Rows of a collection that a target may refuse while the others go on; beyond it the collection is held as a whole",
  ),
  refused_size: size().prefault("16MiB").describe(
    "Size of the refused rows of a collection that the state keeps; beyond it the collection is held as a whole",
  ),
  checkpoint_interval: duration({ minMs: 50, maxMs: 3_600_000 }).prefault("1s").describe(
    "Longest time between an acknowledged change and the checkpoint that covers it",
  ),
});

export type LimitsConfig = z.output<typeof limitsSpec>;
