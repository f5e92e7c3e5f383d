/** The errors of a position that the log does not hold any more. One wording for every log source. */
import { TidemarkError } from "../../pipeline/errors.ts";
import type { LogBounds, Position, PositionForms } from "../../pipeline/model/mod.ts";

export const AFRESH = "Set on_position_lost: resnapshot to copy afresh, or delete the run's state.";

/** `wanted` lies outside of what the topic holds. `keep`: how the queue is told to hold more. */
export function lostByBounds(
  topic: string,
  wanted: Position,
  bounds: Pick<LogBounds, "earliest" | "latest">,
  { format }: PositionForms,
  keep = "give the topic a longer retention.ms than any pause of a run",
): TidemarkError {
  const why = wanted < bounds.earliest
    ? "the records in between were removed by the topic's retention"
    : "the log was truncated or replaced";
  return new TidemarkError(
    "position_lost",
    `Topic ${topic} holds ${format(bounds.earliest)} to ${format(bounds.latest)}, but ${
      format(wanted)
    } is wanted: ${why}`,
    {
      hint: `${AFRESH} To keep it from happening again, ${keep}.`,
    },
  );
}

/** The topic was deleted and created again. */
export function lostByIdentity(topic: string, wanted: bigint | string, expected: string, found: string): TidemarkError {
  return new TidemarkError(
    "position_lost",
    `Topic ${topic} was deleted and created again (its id was ${expected} and is ${found}), so offset ${wanted} means nothing there`,
    { hint: `${AFRESH} The source's log was replaced: its content may be another one altogether.` },
  );
}

/** The topic is gone. */
export function lostByRemoval(
  topic: string,
  names = "sources.log.brokers still names the source's Kafka",
): TidemarkError {
  return new TidemarkError("position_lost", `Topic ${topic} does not exist any more`, {
    hint: `${AFRESH} Check that ${names}.`,
  });
}
