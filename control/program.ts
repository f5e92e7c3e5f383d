/** The command line. The only place that knows commander, beside the commands of `backup` and `inspect`. */
import { Command, CommanderError, Option } from "commander";
import { EXIT, TidemarkError, toTidemarkError } from "../pipeline/errors.ts";
import { commandFirst } from "./command_first.ts";
import { addBackupCommands } from "./program_backup.ts";
import { addInitCommand } from "./program_init.ts";
import { addInspectCommands } from "./program_inspect.ts";
import { examples, type ProgramParts } from "./program_parts.ts";
import { addServerCommands } from "./program_server.ts";
import { LOG_LEVELS } from "./log.ts";
import { describeError } from "./report_error.ts";
import type { SharedOptions } from "./session.ts";
import { runSession } from "./session_start.ts";
import type { Terminal } from "./terminal.ts";
import { VERSION } from "./version.ts";

/** Runs the command line `args` and returns the exit status. */
export async function tidemark(args: readonly string[], terminal: Terminal): Promise<number> {
  let status: number = EXIT.ok;
  const program = buildProgram(terminal, (code) => status = code);
  try {
    const words = commandFirst(args, program.commands.map((command) => command.name()));
    await refuseUnknownCommand(program, words);
    await program.parseAsync([...words], { from: "user" });
    return status;
  } catch (error) {
    if (!(error instanceof CommanderError)) {
      terminal.err(describeError(error, { stack: (terminal.env("TIDEMARK_DEBUG") ?? "") !== "" }));
      return toTidemarkError(error).exitCode;
    }
    // Help and version end by this error too, with status 0.
    return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  }
}

/** The whole command line, for {@link tidemark} and for whoever checks what is written about it. */
export function buildProgram(terminal: Terminal, done: (status: number) => void): Command {
  const program = new Command("tidemark")
    .description("Copies a running Milvus and keeps the copy current: full backup and incremental sync in one run.")
    .version(VERSION)
    .helpCommand(false)
    .showSuggestionAfterError()
    .exitOverride()
    .configureOutput({
      writeOut: terminal.out,
      writeErr: terminal.err,
      outputError: (text, write) => write(capital(text)),
    })
    .addHelpText(
      "after",
      examples([
        ["tidemark --config pipeline.yaml", "full backup, then follow (run is the default)"],
        ["tidemark --config base.yaml --config prod.yaml", "later files overlay earlier ones"],
        ["tidemark lint --config pipeline.yaml", "every problem, with file, line and column"],
        ["tidemark plan --config pipeline.yaml", "what a run would do"],
        ["tidemark backup list --storage /backups", "the backups of a folder"],
      ]) +
        "\n\nExit status: 0 ok, 1 unexpected, 2 usage, 3 finished with partial failures, 10 config, 11 connection or check failed,\n" +
        "12 authentication, 13 state locked by another run, 14 log position lost, 15 damage found, 130/143 stopped by signal.",
    );
  const shared: ProgramParts["shared"] = (command, { json = true, config = true } = {}) => {
    if (config) {
      command.addOption(
        new Option("-c, --config <file>", "configuration; give it again to overlay a second file on the first")
          .argParser((value: string, files: string[] | undefined) => [...files ?? [], value]),
      );
    }
    if (json) command.option("--json", "results as JSON");
    return command
      .addOption(
        new Option("--log-level <level>", "least important log line shown").choices([...LOG_LEVELS]).default("info"),
      )
      .option("--log-json", "logs as one JSON object a line")
      .addOption(new Option("--supervised", "started by tidemark serve: the configuration comes by stdin").hideHelp());
  };
  const parts: ProgramParts = { terminal, done, shared };
  addPipelineCommands(program, parts);
  addReplay(program, parts);
  addBackupCommands(program, parts);
  addInspectCommands(program, parts);
  addInitCommand(program, parts);
  addServerCommands(program, parts);
  addSchema(program, parts);
  return program;
}

function addPipelineCommands(program: Command, { terminal, done, shared }: ProgramParts): void {
  shared(program.command("run", { isDefault: true }))
    .description("base copy if none is recorded, then follow the log")
    .addOption(new Option("--once", "end when everything up to the start of the run is applied").conflicts("until"))
    .option(
      "--until <time>",
      'end exactly there (without a log: at the first step that is not before it): ISO time, hybrid timestamp, or "10m ago"',
    )
    .addHelpText(
      "after",
      examples([
        ["tidemark run --config pipeline.yaml", "until it is stopped: Ctrl-C drains, twice stops at once"],
        ["tidemark run --config pipeline.yaml --once", "for cron: ends with 0 when the copy has caught up"],
        ['tidemark run --config pipeline.yaml --until "2026-11-19T14:05:00Z"', "exact over all channels"],
      ]),
    )
    .action(async (options: SharedOptions & { once?: boolean; until?: string }) => {
      const { runCommand } = await import("./commands/run.ts");
      done(
        await runSession(
          terminal,
          options,
          (context) => runCommand(context, { once: options.once === true, until: options.until }),
        ),
      );
    });
  shared(program.command("lint"))
    .description("print every problem of the configuration")
    .addHelpText(
      "after",
      examples([
        ["tidemark lint --config pipeline.yaml", "exit 10 if there is one"],
        ["tidemark lint --config base.yaml --config prod.yaml --json", "for editors and CI"],
      ]),
    )
    .action(async (options: SharedOptions) => {
      const { lintCommand } = await import("./commands/lint.ts");
      done(await runSession(terminal, options, (context, loaded) => lintCommand(context, loaded())));
    });
  shared(program.command("check"))
    .description("dial everything that the configuration names: reach, login, version, rights, log retention")
    .addHelpText("after", examples([["tidemark check --config pipeline.yaml", "exit 11 or 12 if something fails"]]))
    .action(async (options: SharedOptions) => {
      const { checkCommand } = await import("./commands/check.ts");
      done(await runSession(terminal, options, checkCommand));
    });
  shared(program.command("plan"))
    .description("what a run would do: collections, segments, rows, bytes, positions, DDL; changes nothing")
    .addHelpText("after", examples([["tidemark plan --config pipeline.yaml --json", "for scripts"]]))
    .action(async (options: SharedOptions) => {
      const { planCommand } = await import("./commands/plan.ts");
      done(await runSession(terminal, options, planCommand));
    });
  shared(program.command("status"))
    .description("phase, progress, positions and lag of a run, from its last checkpoint")
    .addHelpText(
      "after",
      examples([
        ["tidemark status --config pipeline.yaml", "works beside a running pipeline"],
        ["tidemark status --config pipeline.yaml --json | jq .lagMs", "for monitoring"],
      ]),
    )
    .action(async (options: SharedOptions) => {
      const { statusCommand } = await import("./commands/status.ts");
      done(await runSession(terminal, options, statusCommand));
    });
  shared(program.command("verify"))
    .description("compare source and target: counts, then keys and content, per collection")
    .option("--counts", "compare only the numbers of rows")
    .option("--key-values <number>", "how many values of a partition key to ask for one by one, or all", "1000")
    .option("--repair", "rewrite what differs, then compare again; no run may go on meanwhile")
    .option("--wait <duration>", "how long to wait for a running copy to reach the compared moment", "60s")
    .addHelpText(
      "after",
      examples([
        ["tidemark verify --config pipeline.yaml", "exit 15 if they differ"],
        ["tidemark verify --config pipeline.yaml --counts", "fast, for daily use"],
        [
          "tidemark verify --config pipeline.yaml --repair",
          "after an older release wrote the target; says how many rows",
        ],
      ]),
    )
    .action(async (options: SharedOptions & VerifyFlags) => {
      const { verifyCommand } = await import("./commands/verify.ts");
      done(
        await runSession(
          terminal,
          options,
          (context) =>
            verifyCommand(context, {
              countsOnly: options.counts === true,
              wait: options.wait,
              keyValues: options.keyValues,
              repair: options.repair === true,
            }),
        ),
      );
    });
}

interface VerifyFlags {
  counts?: boolean;
  wait: string;
  keyValues: string;
  repair?: boolean;
}

function addReplay(program: Command, { terminal, done, shared }: ProgramParts): void {
  shared(program.command("replay"))
    .description(
      "write dead letters to their targets again: rows that a target refused (transforms.bad_rows: dead_letter)",
    )
    .option("--file <file>", "only those of this Parquet file")
    .addHelpText(
      "after",
      examples([
        ["tidemark replay --config pipeline.yaml", "between two runs; exit 3 if one is still refused"],
        ["tidemark replay --config pipeline.yaml --file 00001.parquet", "those of one file"],
      ]),
    )
    .action(async (options: SharedOptions & { file?: string }) => {
      const { replayCommand } = await import("./commands/replay.ts");
      done(await runSession(terminal, options, (context) => replayCommand(context, { file: options.file })));
    });
}

function addSchema(program: Command, { terminal, done, shared }: ProgramParts): void {
  shared(program.command("schema"), { json: false, config: false })
    .description("print the JSON Schema of the configuration")
    .addOption(
      new Option(
        "--check",
        "compare the committed config/pipeline.schema.json and docs/configuration.md with it instead",
      )
        .conflicts("write"),
    )
    .option("--write", "write these two files anew instead")
    .addHelpText(
      "after",
      examples([[
        "tidemark schema > pipeline.schema.json",
        "for editors: # yaml-language-server: $schema=./pipeline.schema.json",
      ]]),
    )
    .action(async (options: SharedOptions & { check?: boolean; write?: boolean }) => {
      const { schemaCommand } = await import("./commands/schema.ts");
      done(
        await runSession(
          terminal,
          options,
          (context) =>
            schemaCommand(context.terminal, { check: options.check === true, write: options.write === true }),
        ),
      );
    });
}

/** Commander would take an unknown word for an argument of the default command. */
async function refuseUnknownCommand(program: Command, args: readonly string[]): Promise<void> {
  const [word] = args;
  const names = program.commands.map((command) => command.name());
  if (word === undefined || word.startsWith("-") || names.includes(word)) return;
  const { nearest } = await import("../config/mod.ts");
  const guess = nearest(word, names);
  throw new TidemarkError(
    "usage",
    `There is no command ${JSON.stringify(word)}${guess === undefined ? "" : `: did you mean ${guess}?`}`,
    {
      hint: `The commands are ${names.join(", ")}; tidemark --help says what they do.`,
    },
  );
}

function capital(text: string): string {
  return text.replace(/^error: (.)/, (_, first: string) => `Error: ${first.toUpperCase()}`);
}
