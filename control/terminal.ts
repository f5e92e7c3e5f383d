/** The process' streams and environment as `control` uses them; handed in, so that tests need no process. */

export interface Terminal {
  /** Results. Text ends in a line break. */
  out(text: string): void;
  /** Logs, progress, errors. */
  err(text: string): void;
  /** Whether `err` is a screen on which lines can be drawn again. */
  readonly interactive: boolean;
  /** Columns of that screen. */
  width(): number;
  env(name: string): string | undefined;
  now(): Date;
  /** Calls `handle` for each SIGINT and SIGTERM until the returned function is called. */
  onSignal(handle: (signal: "SIGINT" | "SIGTERM") => void): () => void;
  /** Ends the process at once. */
  exit(code: number): never;
}

/** The real process. */
export function processTerminal(): Terminal {
  const encoder = new TextEncoder();
  const writer = (stream: { writeSync(bytes: Uint8Array): number }) => (text: string) => {
    const bytes = encoder.encode(text);
    let written = 0;
    try {
      while (written < bytes.length) written += stream.writeSync(bytes.subarray(written));
    } catch (error) {
      // `tidemark … | head`: whoever reads has seen enough.
      if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
    }
  };
  return {
    out: writer(Deno.stdout),
    err: writer(Deno.stderr),
    interactive: Deno.stderr.isTerminal(),
    width: () => {
      try {
        return Deno.consoleSize().columns;
      } catch {
        return 100;
      }
    },
    env: (name) => Deno.env.get(name),
    now: () => new Date(),
    onSignal: (handle) => {
      const names = Deno.build.os === "windows" ? ["SIGINT"] as const : ["SIGINT", "SIGTERM"] as const;
      const listeners = names.map((name) => {
        const listener = () => handle(name);
        Deno.addSignalListener(name, listener);
        return () => Deno.removeSignalListener(name, listener);
      });
      return () => listeners.forEach((remove) => remove());
    },
    exit: (code) => Deno.exit(code),
  };
}

/** The same terminal with everything that is printed passed through `redact`. */
export function redacted(terminal: Terminal, redact: () => (text: string) => string): Terminal {
  return {
    ...terminal,
    out: (text) => terminal.out(redact()(text)),
    err: (text) => terminal.err(redact()(text)),
  };
}
