/** Shows a run's status while it runs: a live block on a screen, a log line now and then elsewhere. */
import { formatJson } from "../pipeline/json.ts";
import type { RunStatus } from "../pipeline/model/mod.ts";
import type { Log } from "./log.ts";
import { renderStatus, summarize } from "./render_status.ts";
import { STATUS_EVERY_MS } from "./supervised.ts";
import type { Terminal } from "./terminal.ts";

export interface ProgressOptions {
  readonly terminal: Terminal;
  readonly screen: LiveBlock;
  readonly log: Log;
  readonly status: () => RunStatus;
  /** The status as a JSON line now and then, for the server that started it. Default false. */
  readonly lines?: boolean;
  /** Between two drawings on a screen, ms. Default 500. */
  readonly drawEveryMs?: number;
  /** Between two log lines, ms. Default 10000. */
  readonly logEveryMs?: number;
}

/** Runs until it is disposed; then the block is drawn a last time and stays. */
export function showProgress(options: ProgressOptions): Disposable {
  const { terminal, screen, log, status } = options;
  if (options.lines === true) {
    const say = () => terminal.out(formatJson({ status: status() }) + "\n");
    say();
    const timer = setInterval(say, STATUS_EVERY_MS);
    return {
      [Symbol.dispose]: () => {
        clearInterval(timer);
        say();
      },
    };
  }
  if (!terminal.interactive) {
    const timer = setInterval(() => log.info(summarize(status())), options.logEveryMs ?? 10_000);
    return { [Symbol.dispose]: () => clearInterval(timer) };
  }
  const draw = () => screen.draw(renderStatus(status(), Math.max(20, terminal.width() - 1)));
  const timer = setInterval(draw, options.drawEveryMs ?? 500);
  return {
    [Symbol.dispose]: () => {
      clearInterval(timer);
      draw();
      screen.end();
    },
  };
}

/** Lines at the bottom of the screen that are drawn again in place. */
export class LiveBlock {
  readonly #terminal: Pick<Terminal, "err">;
  #height = 0;

  constructor(terminal: Pick<Terminal, "err">) {
    this.#terminal = terminal;
  }

  draw(lines: readonly string[]): void {
    // Up to the first line of the last block, then line by line; what was longer is cleared. One write, so that nothing flickers.
    const up = this.#height > 0 ? `\x1b[${this.#height}A\r` : "";
    this.#terminal.err(`${up}\x1b[J${lines.join("\n")}\n`);
    this.#height = lines.length;
  }

  /** What is on the screen stays; the next drawing begins below it. */
  end(): void {
    this.#height = 0;
  }

  /** Removes the block, so that a log line can be written in its place. */
  clear(): void {
    if (this.#height > 0) this.#terminal.err(`\x1b[${this.#height}A\r\x1b[J`);
    this.#height = 0;
  }
}
