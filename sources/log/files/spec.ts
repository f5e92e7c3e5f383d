/** Config of `sources.log` where no queue is read: the copy follows the metadata and the files. */
import { z } from "zod";
import { duration } from "../../../pipeline/units/mod.ts";

const ADDRESS = /^(?:https?:\/\/)?(?:\[[0-9a-fA-F:.]+\]|[^\s/:@]+)(?::\d{1,5})?\/?$/;

/** `sources.log` of `type: files`. */
export const filesLogSpec = z.strictObject({
  type: z.literal("files").describe(
    "No queue: the copy goes from snapshot to snapshot of the metadata and files, exact at each. For RocksMQ and every queue that cannot be reached, and for a stopped Milvus",
  ),
  poll: duration({ minMs: 1000, maxMs: 86_400_000 }).prefault("30s").describe(
    "Between two looks at the metadata; a change of the catalog is looked at earlier. Longer than the source's garbage collection takes (dataCoord.gc), deletes must be found by comparing keys",
  ),
  flush: z.strictObject({
    address: z.string().regex(ADDRESS, "expected host:port or https://host:port, for example source:19530")
      .describe("Address of the source as host:port; https:// in front turns TLS on"),
    token: z.string().min(1).optional().meta({ secret: true }).describe("Login as user:password, or an API key"),
    token_file: z.string().min(1).optional().describe("File that holds the token"),
    tls: z.strictObject({
      ca_file: z.string().min(1).optional().describe(
        "PEM file with the certificate authority of the source; left out for those that the system trusts",
      ),
      server_name: z.string().min(1).optional().describe(
        "Name to expect in the source's certificate where it differs from the address",
      ),
    }).optional().describe("Give it, even empty, where the source speaks TLS"),
    every: duration({ minMs: 10_000, maxMs: 86_400_000 }).prefault("1m").describe("How often it is asked"),
  }).optional().describe(
    "Asks the source to flush the selected collections, so that the copy is not as old as its own flushes (up to ten minutes); left out, nothing is asked of it",
  ),
});

export type FilesLogConfig = z.output<typeof filesLogSpec>;
