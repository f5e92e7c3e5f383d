/** The first SIGINT or SIGTERM drains, the second ends the process at once. */
import { EXIT } from "../pipeline/errors.ts";
import type { Terminal } from "./terminal.ts";

export interface Signals extends Disposable {
  /** Fires at the first signal: nothing more is taken in, what is under way is finished. */
  readonly stop: AbortSignal;
  /** Fires at the second, right before the process ends. */
  readonly kill: AbortSignal;
  /** The exit status that the received signal asks for; undefined if there was none. */
  readonly exitCode: number | undefined;
}

export function listenForSignals(terminal: Terminal): Signals {
  const stop = new AbortController();
  const kill = new AbortController();
  let exitCode: number | undefined;
  const remove = terminal.onSignal((name) => {
    const status = name === "SIGINT" ? EXIT.sigint : EXIT.sigterm;
    const reason = new DOMException(`Stopped by ${name}`, "AbortError");
    if (exitCode === undefined) {
      exitCode = status;
      terminal.err(`${name}: finishing what is under way and saving the position; once more to stop at once\n`);
      stop.abort(reason);
      return;
    }
    kill.abort(reason);
    terminal.exit(status);
  });
  return {
    stop: stop.signal,
    kill: kill.signal,
    get exitCode() {
      return exitCode;
    },
    [Symbol.dispose]: remove,
  };
}
