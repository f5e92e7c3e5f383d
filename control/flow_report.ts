/** What the flow tells, as log lines. */
import type { FlowReport } from "../pipeline/flow/mod.ts";
import type { Log } from "./log.ts";

export function flowReport(log: Log): FlowReport {
  const said = new Set<string>();
  return {
    warn: (key, message) => {
      if (said.has(key)) return;
      said.add(key);
      log.warning(message);
    },
    info: (message) => log.info(message),
    ddl: ({ sentence, result, detail }) => {
      // What is left out is met again at every look.
      if (result === "skipped") {
        if (said.has(sentence)) return;
        said.add(sentence);
      }
      if (result === "applied") log.info(sentence);
      else log.warning(`${sentence}: ${result}${detail === "" ? "" : `, ${detail}`}`);
    },
    blocked: (collection, error) =>
      log.error(`${collection} is blocked: ${error.message}${error.hint === undefined ? "" : `. ${error.hint}`}`),
  };
}
