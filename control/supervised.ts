/**
 * A command that a server started: its configuration comes as the first line of stdin, a JSON string, and the end of stdin
 * means that the server ended or wants it to stop. Each line of stdout is one JSON object with `status`, `ddl`, `result` or
 * `error`; logs are JSON lines on stderr.
 */
import { TidemarkError } from "../pipeline/errors.ts";
import type { Terminal } from "./terminal.ts";

/** Between two lines with the status, ms. */
export const STATUS_EVERY_MS = 1000;

export interface Supervised {
  /** Text of the configuration. */
  readonly config: string;
  /** The same terminal; the end of stdin is a SIGTERM. */
  readonly terminal: Terminal;
}

/** Waits for the configuration. Throws `usage` where stdin ends before it. */
export async function supervised(terminal: Terminal, input: ReadableStream<Uint8Array>): Promise<Supervised> {
  const reader = input.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  let text = "";
  while (!text.includes("\n")) {
    const { value, done } = await reader.read();
    if (done) {
      throw new TidemarkError("usage", "Stdin ended before the configuration", {
        hint: "--supervised is for tidemark serve; give --config FILE.",
      });
    }
    text += value;
  }
  const ended = readToEnd(reader);
  return {
    config: JSON.parse(text.slice(0, text.indexOf("\n"))) as string,
    terminal: {
      ...terminal,
      interactive: false,
      onSignal: (handle) => {
        let listening = true;
        const remove = terminal.onSignal(handle);
        ended.then(() => listening && handle("SIGTERM"));
        return () => {
          listening = false;
          remove();
        };
      },
    },
  };
}

async function readToEnd(reader: ReadableStreamDefaultReader<string>): Promise<void> {
  try {
    while (!(await reader.read()).done);
  } catch {
    // A pipe that broke has ended, too.
  }
}
