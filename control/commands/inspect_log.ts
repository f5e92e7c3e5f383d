/** `inspect log`: decoded events in the order in which they are applied, one JSON object a line. */
import { EXIT, TidemarkError } from "../../pipeline/errors.ts";
import { formatJson } from "../../pipeline/json.ts";
import { inspectedTopics, inspectLog, inspectRecords, parseRecords } from "../../sources/log/mod.ts";
import type { CommandContext } from "../context.ts";
import { readInput } from "../read_input.ts";

export interface InspectLogOptions {
  /** A file of records instead of Kafka; `-` is stdin. */
  readonly records: string | undefined;
  /** Topics; undefined: all of the source. */
  readonly channels: readonly string[] | undefined;
  /** Go on at the end of the log. */
  readonly follow: boolean;
}

export async function inspectLogCommand(context: CommandContext, options: InspectLogOptions): Promise<number> {
  const print = (line: unknown) => context.terminal.out(formatJson(line) + "\n");
  const onNote = (note: string) => context.log.warning(note);
  if (options.records !== undefined) {
    inspectRecords(parseRecords(await readInput(options.records), options.records), { redact: true, onNote }).forEach(
      print,
    );
    return EXIT.ok;
  }
  const log = await context.components().log();
  const topics = options.channels ?? await topicsOf(context, await log.topics(context.stop));
  try {
    for await (const line of inspectLog(log, { topics, follow: options.follow, onNote }, context.stop)) print(line);
  } catch (error) {
    if (!context.stop.aborted) throw error;
  }
  return EXIT.ok;
}

/** The topics of this Milvus, among those of others: the catalog names its channels. */
async function topicsOf(context: CommandContext, topics: readonly string[]): Promise<string[]> {
  const snapshot = await (await context.components().meta()).snapshot(context.stop);
  const clusters = new Set(
    snapshot.catalog.collections.flatMap((collection) => collection.pchannels).map((pchannel) =>
      pchannel.replace(/-rootcoord-dml_\d+$/, "")
    ),
  );
  const found = [...clusters].flatMap((cluster) => inspectedTopics(topics, cluster));
  if (found.length > 0) return found;
  throw new TidemarkError("not_found", "The catalog names no channel that is a topic of sources.log", {
    hint: "Choose topics with --channel, or check that sources.log is the log of this Milvus.",
  });
}
