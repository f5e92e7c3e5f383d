/**
 * What a topic is known by from one process to the next. Pulsar's topics have no identity: one that was made anew has other
 * ledgers, but a server that was rebuilt gives their ids again, and then every place of the old log may be one of the new. So the
 * newest message that was read bears witness: as long as it is kept, it must stand where it stood. No place from which a reader
 * goes on lies behind it, so that where it was removed, those before it were, too.
 */
import { pulsarPosition } from "../../../pipeline/positions/mod.ts";
import type { PulsarClient } from "./client.ts";
import type { PulsarConnection } from "./connection.ts";
import { beginningOf, endOf } from "./ends.ts";
import { sealOf } from "./entry.ts";
import { ConnectionError } from "./errors.ts";
import { parseMessage } from "./frame.ts";
import { Permits } from "./permits.ts";
import type { Place } from "./subscription.ts";

export interface Witness extends Place {
  /** Of {@link sealOf}. */
  readonly seal: string;
}

export interface WitnessStand {
  readonly client: PulsarClient;
  /** To the topic's broker. */
  readonly connection: PulsarConnection;
  readonly topic: string;
  /** How long one message may take. */
  readonly timeoutMs: number;
}

/** `passed`: the log begins behind it, which proves nothing. `there`: for a sentence, what stands in its place. */
export type Verdict =
  | { readonly kind: "same" | "passed" }
  | { readonly kind: "other"; readonly there: string };

export function formatWitness({ ledger, entry, seal }: Witness): string {
  return `${ledger}:${entry} ${seal}`;
}

/** Undefined for a text that is none. */
export function parseWitness(text: string): Witness | undefined {
  const found = /^(\d{1,20}):(\d{1,20}) (.+)$/s.exec(text);
  return found === null ? undefined : { ledger: BigInt(found[1]!), entry: BigInt(found[2]!), seal: found[3]! };
}

/** Throws `BrokerError`, `ConnectionError`, and RangeError for a message that is broken. */
export async function judgeWitness(stand: WitnessStand, witness: Witness, signal: AbortSignal): Promise<Verdict> {
  const { client, connection, topic } = stand;
  const at = pulsarPosition({ ...witness, batch: 0 });
  const begin = await client.beside(connection, topic, { start: undefined, permits: new Permits(1) }, signal);
  let last: Place | undefined;
  try {
    const answer = await begin.last(signal);
    if (at < beginningOf(answer, topic)) return { kind: "passed" };
    if (answer.last === undefined || at >= endOf(answer.last)) {
      const end = answer.last === undefined ? "an empty log" : `a log that ends with ${place(answer.last)}`;
      return { kind: "other", there: end };
    }
    last = answer.last;
  } finally {
    begin.close();
  }
  const found = await messageAt(stand, witness, signal);
  if (found.ledger === witness.ledger && found.entry === witness.entry) {
    return found.seal === witness.seal ? { kind: "same" } : { kind: "other", there: found.seal };
  }
  // Retention may have gone on meanwhile, to the last message or beyond.
  const now = await client.beside(connection, topic, { start: undefined, permits: new Permits(1) }, signal);
  try {
    if (at < beginningOf(await now.last(signal), topic)) return { kind: "passed" };
  } finally {
    now.close();
  }
  return { kind: "other", there: `none, ${place(found)} follows in a log that ends with ${place(last)}` };
}

/** The first message from `start` on, which there must be. */
export async function messageAt(
  { client, connection, topic, timeoutMs }: WitnessStand,
  { ledger, entry }: Place,
  signal: AbortSignal,
): Promise<Witness> {
  const options = { start: { ledger, entry }, permits: new Permits(1) };
  const reader = await client.beside(connection, topic, options, signal);
  try {
    reader.grant();
    const found = await reader.peek(timeoutMs, signal);
    if (found === undefined) throw new ConnectionError(`Nothing comes from ${ledger}:${entry} on`);
    return { ledger: found.ledger, entry: found.entry, seal: sealOf(parseMessage(found.rest)) };
  } finally {
    reader.close();
  }
}

function place({ ledger, entry }: Place): string {
  return `${ledger}:${entry}`;
}
