/** Where a topic begins and ends, from what a broker answers to a subscription. */
import { TidemarkError } from "../../../pipeline/errors.ts";
import { after, type Position } from "../../../pipeline/model/mod.ts";
import { pulsarPosition } from "../../../pipeline/positions/mod.ts";
import type { LastMessage } from "./subscription.ts";

/** Behind a topic's last record. */
export function endOf(last: LastMessage): Position {
  return after(pulsarPosition(last));
}

/** Of the answer to a subscription at the very beginning. Throws `unsupported` where the broker does not say it. */
export function beginningOf({ markLedger }: { readonly markLedger: bigint | undefined }, topic: string): Position {
  if (markLedger !== undefined) return pulsarPosition({ ledger: markLedger, entry: 0n, batch: 0 });
  throw new TidemarkError("unsupported", `The broker does not say where topic ${topic} begins`, {
    hint: "Pulsar 2.8 or newer is needed.",
  });
}
