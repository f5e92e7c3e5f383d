/** Config of the log source on Woodpecker, the log that Milvus 2.6 and 3.0 keep themselves. */
import { z } from "zod";
import { duration } from "../../../pipeline/units/mod.ts";
import { objectStoreSpec } from "../../../stores/objects/spec.ts";

const path = (what: string) =>
  z.string().min(1).regex(/^[^/].*[^/]$|^[^/]$/, "expected no slash at the beginning or end").optional().describe(what);

/** `sources.log` of `type: woodpecker`. */
export const woodpeckerLogSpec = z.strictObject({
  type: z.literal("woodpecker").describe(
    "Woodpecker, the log that Milvus 2.6 and later keep in their own bucket or folder, or on Woodpecker's own servers; it is found by the etcd of `sources.meta`",
  ),
  meta_prefix: path(
    "Where Woodpecker's keys begin in etcd; left out, they are found: `woodpecker`, or `<root_path>/woodpecker` from 3.0 on",
  ),
  storage: objectStoreSpec.optional().describe("Where the log is; left out, where `sources.binlogs` is"),
  root_path: path(
    "Where in it the log begins; left out, `<root_path of sources.binlogs>/wp`, or `wp/files/wp` in the folder of a standalone",
  ),
  poll_ms: duration({ minMs: 10, maxMs: 60_000 }).prefault("200ms")
    .describe(
      "How long to wait before the next look at a log that had nothing new, as long as the times at which something comes are not even; Milvus itself writes every 200 ms",
    ),
  idle_poll_ms: duration({ minMs: 10, maxMs: 60_000 }).prefault("2s")
    .describe("Up to which this wait grows where nothing comes; each look is one request"),
}).refine((value) => value.idle_poll_ms >= value.poll_ms, {
  error: "idle_poll_ms must not be shorter than poll_ms",
  path: ["idle_poll_ms"],
});

export type WoodpeckerLogConfig = z.output<typeof woodpeckerLogSpec>;
