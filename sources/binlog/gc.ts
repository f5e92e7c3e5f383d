/**
 * Pausing the source's garbage collection over datacoord's management port, so that files named by a snapshot stay.
 * 2.3.5 does not have the route yet: it answers 404.
 */
import { TidemarkError } from "../../pipeline/errors.ts";
import type { CheckLine } from "../../pipeline/model/mod.ts";

const ROUTE = "/management/datacoord/garbage_collection";
const REQUEST_MS = 10_000;

export interface GcPauserOptions {
  /** URL of the management port, for example `http://milvus:9091`. */
  readonly address: string;
  readonly pauseSecs: number;
  readonly fetch?: typeof fetch;
  /** Runs `task` every `ms` until the returned function is called. Default: an interval timer. */
  readonly every?: (ms: number, task: () => Promise<void>) => () => void;
  /** Told of a renewal that failed; the pause itself lasts until its time is over. */
  readonly onRenewalFailed?: (error: TidemarkError) => void;
}

export interface GcPauser {
  /** Pauses until the handle is disposed. Where the source has no such route, the handle does nothing. */
  pause(signal: AbortSignal): Promise<AsyncDisposable>;
  check(signal: AbortSignal): Promise<CheckLine>;
}

export function createGcPauser(options: GcPauserOptions): GcPauser {
  const { pauseSecs, onRenewalFailed = () => {}, every = interval } = options;
  const address = options.address.replace(/\/+$/, "");
  const send = options.fetch ?? fetch;

  /** Body of the answer; undefined where there is no such route. */
  const call = async (path: string, signal: AbortSignal): Promise<string | undefined> => {
    let response: Response;
    let body: string;
    try {
      response = await send(`${address}${ROUTE}/${path}`, {
        signal: AbortSignal.any([signal, AbortSignal.timeout(REQUEST_MS)]),
      });
      body = await response.text();
    } catch (cause) {
      if (signal.aborted) throw new TidemarkError("aborted", "Stopped by request", { cause });
      throw new TidemarkError("unreachable", `Cannot reach the management port at ${address}`, {
        hint: "Set binlogs.gc.management_address to http://HOST:9091 of the source's datacoord, or leave gc out.",
        cause,
      });
    }
    if (response.status === 404) return undefined;
    if (response.ok) return body;
    throw new TidemarkError("refused", `${address}${ROUTE} answered ${response.status}: ${body.slice(0, 200)}`, {
      retriable: response.status >= 500,
    });
  };
  const pauseFor = (secs: number, signal: AbortSignal) => call(`pause?pause_seconds=${secs}`, signal);

  return {
    async pause(signal) {
      const first = await pauseFor(pauseSecs, signal);
      if (first === undefined) return { async [Symbol.asyncDispose]() {} };
      let ticket = ticketIn(first);
      const ended = new AbortController();
      const stop = every((pauseSecs * 1000) / 2, async () => {
        try {
          const answer = await pauseFor(pauseSecs, ended.signal);
          if (answer !== undefined) ticket = ticketIn(answer) ?? ticket;
        } catch (error) {
          if (!ended.signal.aborted) onRenewalFailed(error as TidemarkError);
        }
      });
      return {
        async [Symbol.asyncDispose]() {
          stop();
          ended.abort();
          // A pause that cannot be released ends by itself, after `pauseSecs` at most.
          const path = ticket === undefined ? "resume" : `resume?ticket=${encodeURIComponent(ticket)}`;
          await call(path, new AbortController().signal).catch(onRenewalFailed);
        },
      };
    },
    async check(signal) {
      const what = `garbage collection at ${address}`;
      try {
        // One second: the server keeps the later of two pauses, so that this cuts no other one short.
        if (await pauseFor(1, signal) !== undefined) {
          return { what, ok: "ok", detail: "Can be paused while the base is copied" };
        }
        return {
          what,
          ok: "warn",
          detail:
            "This release has no route to pause it (2.3.5 has none). Files that disappear are found again from fresh metadata",
        };
      } catch (thrown) {
        const error = thrown as TidemarkError;
        return {
          what,
          ok: "fail",
          detail: [error.message, error.hint].filter((part) => part).join(". "),
          code: error.code,
        };
      }
    },
  };
}

/** From 2.6.8 on the answer has a ticket that resume wants back. */
function ticketIn(body: string): string | undefined {
  return /"ticket"\s*:\s*"([^"]+)"/.exec(body)?.[1];
}

function interval(ms: number, task: () => Promise<void>): () => void {
  const timer = setInterval(() => void task(), ms);
  return () => clearInterval(timer);
}
