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
      // What is left out or refused is met again at every look.
      const text = `${sentence} ${result} ${detail}`;
      if (result !== "applied" && said.has(text)) return;
      if (result !== "applied") said.add(text);
      if (result === "applied") log.info(sentence);
      else log.warning(`${sentence}: ${result}${detail === "" ? "" : `, ${detail}`}`);
    },
    blocked: (collection, error) =>
      log.error(`${collection} is blocked: ${error.message}${error.hint === undefined ? "" : `. ${error.hint}`}`),
  };
}
