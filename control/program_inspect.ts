/** `inspect meta` and `inspect log`. */
import { type Command, Option } from "commander";
import { examples, type ProgramParts } from "./program_parts.ts";
import type { SharedOptions } from "./session.ts";
import { runSession } from "./session_start.ts";

export function addInspectCommands(program: Command, { terminal, done, shared }: ProgramParts): void {
  const inspect = program.command("inspect").description("look at what the sources say, as JSON").helpCommand(false);
  shared(inspect.command("meta"), { json: false })
    .description("the catalog at one revision, from etcd or from a file of records")
    .option("--records <file>", "read a file of metadata records instead of etcd")
    .addHelpText(
      "after",
      examples([
        ["tidemark inspect meta --config pipeline.yaml | jq '.collections[].name'", "names of the collections"],
        ["tidemark inspect meta --records meta.jsonl", "without a server"],
      ]),
    )
    .action(async (options: SharedOptions & { records?: string }) => {
      const { inspectMetaCommand } = await import("./commands/inspect_meta.ts");
      done(await runSession(terminal, options, (context) => inspectMetaCommand(context, { records: options.records })));
    });
  shared(inspect.command("log"), { json: false })
    .description("decoded log events in the order in which they are applied, one JSON object a line")
    .option("--records <file>", "read a file of log records instead of Kafka")
    .addOption(
      new Option("--channel <topic>", "only this topic, may be given again; all of the source where left out")
        .argParser((value: string, topics: string[] | undefined) => [...topics ?? [], value]),
    )
    .option("--follow", "go on at the end of the log")
    .addHelpText(
      "after",
      examples([
        [
          "tidemark inspect log --config pipeline.yaml --channel by-dev-rootcoord-dml_0",
          "from its beginning to its present end",
        ],
        ["tidemark inspect log --records wal.jsonl", "without a server"],
      ]),
    )
    .action(async (options: SharedOptions & { records?: string; channel?: string[]; follow?: boolean }) => {
      const { inspectLogCommand } = await import("./commands/inspect_log.ts");
      done(
        await runSession(
          terminal,
          options,
          (context) =>
            inspectLogCommand(context, {
              records: options.records,
              channels: options.channel,
              follow: options.follow === true,
            }),
        ),
      );
    });
}
