/** What happens, for whoever watches: kept in a ring, so that who comes back misses nothing that is not old. */

export const EVENT_TYPES = [
  "task.created",
  "task.updated",
  "task.state",
  "task.restarted",
  "task.deleted",
  "task.blocked",
  "task.recovered",
  "task.lag",
  "task.failed",
  "task.ddl",
  "backup.done",
  "backup.failed",
  "job.started",
  "job.ended",
  "verify.failed",
] as const;
export type EventType = typeof EVENT_TYPES[number];

export interface ServerEvent {
  /**
   * Rises by one. A server that starts again begins far above what it had said before, so that whoever comes back with an id of
   * then is told everything since the start.
   */
  readonly id: number;
  readonly at: string;
  readonly type: EventType;
  readonly task: string;
  /** A sentence. */
  readonly message: string;
}

/** Events that are kept for those who come back. */
const KEPT = 1000;

export class EventHub {
  readonly #kept: ServerEvent[] = [];
  readonly #listeners = new Set<(event: ServerEvent) => void>();
  readonly #now: () => Date;
  #last = 0;

  constructor(now: () => Date) {
    this.#now = now;
    // Below 2^53 for the next two hundred years; no server says a thousand things in a millisecond.
    this.#last = now().getTime() * 1000;
  }

  emit(type: EventType, task: string, message: string): void {
    const event: ServerEvent = { id: ++this.#last, at: this.#now().toISOString(), type, task, message };
    this.#kept.push(event);
    if (this.#kept.length > KEPT) this.#kept.shift();
    for (const listener of this.#listeners) listener(event);
  }

  /** Those after `id` that are still kept. */
  after(id: number): readonly ServerEvent[] {
    return this.#kept.filter((event) => event.id > id);
  }

  listen(listener: (event: ServerEvent) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  get last(): number {
    return this.#last;
  }
}
