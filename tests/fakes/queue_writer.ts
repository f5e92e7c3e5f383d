/** Brings the records of a source in memory into a queue that takes its time, in their order; it knows their places there. */
import type { LogRecord, Position } from "../../pipeline/model/mod.ts";

/** Writes behind what the topic has; returns the places, one for each record. */
export type SendRecords = (topic: string, records: readonly LogRecord[]) => Promise<readonly Position[]>;

export class QueueWriter {
  readonly #send: SendRecords;
  readonly #waiting = new Map<string, LogRecord[]>();
  readonly #places = new Map<string, Position[]>();
  #writing: Promise<void> = Promise.resolve();

  constructor(send: SendRecords) {
    this.#send = send;
  }

  create(topic: string): void {
    this.#waiting.set(topic, []);
    this.#places.set(topic, []);
  }

  append(record: LogRecord): void {
    const waiting = this.#waiting.get(record.topic)!;
    waiting.push(record);
    this.#then(async () => {
      if (waiting.length === 0) return;
      this.#places.get(record.topic)!.push(...await this.#send(record.topic, waiting.splice(0)));
    });
  }

  /** Of the topic's `index`-th record, which was written. */
  position(topic: string, index: bigint): Position {
    const place = this.#places.get(topic)?.[Number(index)];
    if (place === undefined) throw new Error(`Record ${index} of ${topic} was not written`);
    return place;
  }

  /** Does something while nobody writes: what is appended meanwhile waits. */
  async meanwhile(deed: () => Promise<void>): Promise<void> {
    this.#then(deed);
    await this.#writing;
  }

  /** Rejects where something could not be written. */
  written(): Promise<void> {
    return this.#writing;
  }

  #then(step: () => Promise<void>): void {
    this.#writing = this.#writing.then(step);
    this.#writing.catch(() => {});
  }
}
