/** The places of every queue's logs: how each is written as text, and by Milvus. */
import { TidemarkError } from "../errors.ts";
import type { Position, PositionForms, Queue } from "../model/mod.ts";
import { filesPositions } from "./files.ts";
import { kafkaPositions, rocksmqPositions } from "./kafka.ts";
import { pulsarPositions } from "./pulsar.ts";
import { woodpeckerPositions } from "./woodpecker.ts";

export { kafkaPositions } from "./kafka.ts";
export { type PulsarPlace, pulsarPlace, pulsarPosition, pulsarPositions } from "./pulsar.ts";
export { woodpeckerPlace, woodpeckerPosition, woodpeckerPositions } from "./woodpecker.ts";

const FORMS: Readonly<Record<Queue, PositionForms>> = {
  kafka: kafkaPositions,
  rocksmq: rocksmqPositions,
  pulsar: pulsarPositions,
  woodpecker: woodpeckerPositions,
  files: filesPositions,
};

export function isQueue(name: string): name is Queue {
  return Object.hasOwn(FORMS, name);
}

export function positionsOf(queue: Queue): PositionForms {
  return FORMS[queue];
}

/** As it stands in a document: Kafka's offsets are integers there, as they always were; others are text. */
export function storePosition(position: Position, queue: Queue): bigint | string {
  return queue === "kafka" ? position : FORMS[queue].format(position);
}

/** The inverse of {@link storePosition}. Throws `damaged`; `what` names the document. */
export function restorePosition(stored: unknown, queue: Queue, what: string): Position {
  if (typeof stored === "bigint") return stored;
  const found = typeof stored === "string" ? FORMS[queue].parse(stored) : undefined;
  if (found === undefined) {
    throw new TidemarkError("damaged", `${what}: ${JSON.stringify(stored)} is no position of ${queue}`);
  }
  return found;
}
