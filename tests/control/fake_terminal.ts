/** A terminal that remembers what was printed; signals are sent by hand. */
import type { Terminal } from "../../control/terminal.ts";

export interface FakeTerminal extends Terminal {
  readonly stdout: string;
  readonly stderr: string;
  send(signal: "SIGINT" | "SIGTERM"): void;
  /** Statuses of `exit`. */
  readonly exits: readonly number[];
}

export interface FakeTerminalOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly interactive?: boolean;
  readonly width?: number;
  readonly now?: Date;
}

export class Exited extends Error {}

export function fakeTerminal(options: FakeTerminalOptions = {}): FakeTerminal {
  let stdout = "";
  let stderr = "";
  const exits: number[] = [];
  const listeners = new Set<(signal: "SIGINT" | "SIGTERM") => void>();
  return {
    out: (text) => void (stdout += text),
    err: (text) => void (stderr += text),
    interactive: options.interactive ?? false,
    width: () => options.width ?? 120,
    env: (name) => options.env?.[name],
    now: () => options.now ?? new Date("2026-11-21T12:00:00Z"),
    onSignal: (handle) => {
      listeners.add(handle);
      return () => listeners.delete(handle);
    },
    exit: (code) => {
      exits.push(code);
      throw new Exited(`exit ${code}`);
    },
    send: (signal) => listeners.forEach((handle) => handle(signal)),
    exits,
    get stdout() {
      return stdout;
    },
    get stderr() {
      return stderr;
    },
  };
}
