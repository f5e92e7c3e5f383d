/**
 * Metadata read until it is whole: what was read in the middle of a change is read again. Signs that stay cost the collections
 * whose segments show them, and no other.
 */
import { TidemarkError } from "../../pipeline/errors.ts";
import type { MetaReading } from "./snapshot.ts";
import type { TornSign } from "./torn.ts";

export interface SettlingOptions {
  /** Of the etcd that was asked last, for messages. */
  readonly endpoint: () => string;
  readonly random: () => number;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly onRetry: (error: TidemarkError, delayMs: number) => void;
}

const ATTEMPTS = 6;
const BASE_DELAY_MS = 200;

export class Settling {
  readonly #o: SettlingOptions;
  /** What reading again did not change the last time is not waited for again. */
  #stayed: ReadonlySet<string> = new Set();

  constructor(options: SettlingOptions) {
    this.#o = options;
  }

  /** `unusable` names what stayed. Throws what `readOnce` throws. */
  async read(readOnce: () => Promise<MetaReading>, signal: AbortSignal): Promise<MetaReading> {
    const { random, sleep, onRetry } = this.#o;
    for (let attempt = 1;; attempt++) {
      const reading = await readOnce().catch((error) => {
        // etcd compacted the revision away while its pages were read: a newer one is as good.
        if (!(error instanceof TidemarkError) || error.code !== "position_lost" || attempt >= ATTEMPTS) throw error;
        onRetry(error, 0);
        return undefined;
      });
      if (reading === undefined) continue;
      const signs = reading.torn.filter((sign) => !this.#stayed.has(nameOf(sign)));
      const fatal = signs.filter((sign) => sign.fatal);
      // What is not fatal is believed once reading again has not changed it.
      const settled = fatal.length === 0 && (signs.length === 0 || attempt > 2);
      if (settled || attempt >= ATTEMPTS) {
        this.#stayed = new Set(reading.torn.map(nameOf));
        return this.#withUnusable(reading);
      }
      const delay = BASE_DELAY_MS * 2 ** (attempt - 1) * (0.5 + random() / 2);
      onRetry(this.#tornError(reading, fatal.length > 0 ? fatal : signs), delay);
      await sleep(delay, signal);
    }
  }

  #withUnusable(reading: MetaReading): MetaReading {
    const unusable = new Map(reading.unusable);
    const collectionOf = new Map(reading.segments.map(({ id, collectionId }) => [id, collectionId]));
    const fatal = reading.torn.filter((sign) => sign.fatal && collectionOf.has(sign.segmentId));
    for (const [id, signs] of Map.groupBy(fatal, ({ segmentId }) => collectionOf.get(segmentId)!)) {
      const { message, hint } = this.#tornError(reading, signs);
      if (!unusable.has(id)) unusable.set(id, `${message}. ${hint}`);
    }
    const torn = new Set(fatal.map(({ segmentId }) => collectionOf.get(segmentId)!));
    return { ...reading, unusable, followable: reading.followable?.difference(torn) };
  }

  #tornError({ revision }: MetaReading, signs: readonly TornSign[]): TidemarkError {
    const shown = signs.slice(0, 3).map(({ segmentId, what }) => `segment ${segmentId} ${what}`).join("; ");
    const more = signs.length > 3 ? `; and ${signs.length - 3} more` : "";
    return new TidemarkError(
      "torn",
      `The metadata in etcd at ${this.#o.endpoint()} is in the middle of a change at revision ${revision}: ${shown}${more}`,
      {
        hint:
          "It was read again several times. If this stays, the source has a broken segment: `inspect meta` shows it, " +
          "and a flush or a compaction of its collection usually repairs it.",
      },
    );
  }
}

/** Without the time of reading. */
function nameOf({ segmentId, what }: TornSign): string {
  return `${segmentId} ${what.replace(/use \d+ s/, "")}`;
}
