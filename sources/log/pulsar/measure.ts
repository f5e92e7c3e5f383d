/** How large a topic's ledgers are, as the web service says it. */
import type { LogMeasure } from "../../../pipeline/model/mod.ts";
import { parseJson } from "../../../pipeline/json.ts";
import { pulsarPlace } from "../../../pipeline/positions/mod.ts";
import { measureOf, type Stretch } from "../stretches.ts";
import { askAdmin } from "./admin.ts";
import type { PulsarServer } from "./login.ts";
import type { PulsarLogConfig } from "./spec.ts";

/** Undefined where no web service is named. Throws where it does not answer, or refuses. */
export async function topicMeasure(
  config: PulsarLogConfig,
  server: PulsarServer,
  topic: string,
  signal: AbortSignal,
): Promise<LogMeasure | undefined> {
  const { admin, tenant, namespace } = config;
  if (admin === undefined) return undefined;
  const path = `persistent/${tenant}/${namespace}/${encodeURIComponent(topic)}/internalStats`;
  return ledgersMeasure(ledgersOf(await askAdmin(admin, server, path, signal)));
}

export function ledgersMeasure(ledgers: readonly Stretch[]): LogMeasure | undefined {
  return measureOf(ledgers, (position) => {
    const { ledger, entry, batch } = pulsarPlace(position);
    return { number: ledger, entry: batch > 0 ? entry + 1n : entry };
  });
}

/** The answer names the open ledger last, with nothing in it, and what it has by now beside the list. */
export function ledgersOf(text: string): Stretch[] {
  const stats = fields(parseJson(text));
  const ledgers = (Array.isArray(stats.ledgers) ? stats.ledgers : []).map(fields).map((one) => ({
    number: integer(one.ledgerId),
    first: 0n,
    entries: integer(one.entries),
    bytes: integer(one.size),
  }));
  const open = ledgers.at(-1);
  if (open === undefined) return ledgers;
  const current = { ...open, entries: integer(stats.currentLedgerEntries), bytes: integer(stats.currentLedgerSize) };
  return [...ledgers.slice(0, -1), open.entries === 0n ? current : open];
}

function fields(json: unknown): { readonly [key: string]: unknown } {
  return json !== null && typeof json === "object" ? json as { readonly [key: string]: unknown } : {};
}

function integer(json: unknown): bigint {
  return typeof json === "bigint" ? json : typeof json === "number" ? BigInt(Math.trunc(json)) : 0n;
}
