/** Logs of the process, on stderr. The only place that knows LogTape. */
import { configure, dispose, getLogger, type LogLevel, type LogRecord, type Sink } from "@logtape/logtape";
import { formatJson } from "../pipeline/json.ts";

export const LOG_LEVELS = ["debug", "info", "warning", "error"] as const;
export type Level = typeof LOG_LEVELS[number];

export interface LogOptions {
  readonly level: Level;
  /** One JSON object a line, for collectors. */
  readonly json: boolean;
  /** Takes a line with its line break. */
  readonly write: (line: string) => void;
}

export interface Log extends AsyncDisposable {
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void;
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warning(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

/** Sets the process' log up; disposing it ends it. A second call replaces the first. */
export async function openLog(options: LogOptions): Promise<Log> {
  const sink: Sink = (record) => options.write(options.json ? jsonLine(record) : textLine(record));
  await configure({
    reset: true,
    sinks: { stderr: sink },
    loggers: [
      { category: "tidemark", lowestLevel: options.level, sinks: ["stderr"] },
      // LogTape's own complaints, in the same form.
      { category: ["logtape", "meta"], lowestLevel: "warning", sinks: ["stderr"] },
    ],
  });
  const logger = getLogger("tidemark");
  const log = (level: LogLevel) => (message: string, fields: Readonly<Record<string, unknown>> = {}) =>
    // As a property: a message is text, braces in it are no template.
    logger.emit({ timestamp: Date.now(), level, message: [message], rawMessage: message, properties: { ...fields } });
  return {
    debug: log("debug"),
    info: log("info"),
    warning: log("warning"),
    error: log("error"),
    [Symbol.asyncDispose]: () => dispose(),
  };
}

/** The same lines, but for those below a level that may be set while it goes on; first all of them. */
export function leveled(log: Pick<Log, "info" | "warning" | "error">): {
  readonly log: { info(message: string): void; warning(message: string): void; error(message: string): void };
  readonly setLevel: (level: Level) => void;
} {
  let lowest: Level = "debug";
  const from = (level: "info" | "warning" | "error") => (message: string) => {
    if (LOG_LEVELS.indexOf(level) >= LOG_LEVELS.indexOf(lowest)) log[level](message);
  };
  return {
    log: { info: from("info"), warning: from("warning"), error: from("error") },
    setLevel: (level) => lowest = level,
  };
}

/** The same log; `hear` is told each line but those for debugging, too. */
export function teeLog(log: Log, hear: (level: Level, message: string) => void): Log {
  const both = (level: Level): Log["info"] => (message, fields) => {
    log[level](message, fields);
    hear(level, message);
  };
  return { ...log, info: both("info"), warning: both("warning"), error: both("error") };
}

function text(record: LogRecord): string {
  return record.message.map((part) => typeof part === "string" ? part : String(part)).join("");
}

function textLine(record: LogRecord): string {
  const time = new Date(record.timestamp).toISOString();
  const fields = Object.entries(record.properties).map(([key, value]) =>
    ` ${key}=${value instanceof Error ? value.message : formatJson(value)}`
  );
  return `${time} ${record.level.toUpperCase().padEnd(7)} ${text(record)}${fields.join("")}\n`;
}

function jsonLine(record: LogRecord): string {
  return formatJson({
    time: new Date(record.timestamp).toISOString(),
    level: record.level,
    message: text(record),
    ...record.properties,
  }) + "\n";
}
