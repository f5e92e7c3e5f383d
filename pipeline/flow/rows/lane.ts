/**
 * One lane: the ordered work of one vchannel. While a request is under way, what arrives is collected, so that a busy
 * lane sends large batches and an idle one sends at once. Batches whose keys are disjoint may overlap.
 */
import { Observable, type OperatorFunction } from "rxjs";

export interface LaneOptions<Item, Work, Done> {
  /** How many batches may be under way at once. */
  readonly depth: number;
  /** Nothing is prepared before this resolves. */
  readonly ready: Promise<void>;
  /** Takes a first run of `items` that can be done together and returns it with how many items it used (at least one). */
  readonly prepare: (items: readonly Item[]) => { work: Work; used: number };
  /** True if `next` must wait until `before` is done. */
  readonly conflicts: (before: Work, next: Work) => boolean;
  readonly run: (work: Work) => Promise<Done>;
}

/** Emits the result of each piece of work as it is done; errors of `run` end the stream. */
export function lane<Item, Work, Done>(options: LaneOptions<Item, Work, Done>): OperatorFunction<Item, Done> {
  return (source) =>
    new Observable<Done>((subscriber) => {
      let queue: Item[] = [];
      const underWay = new Set<Work>();
      /** Prepared but in conflict with what is under way. */
      let held: Work | undefined;
      let completed = false;
      let scheduled = false;
      let ready = false;

      const start = (work: Work) => {
        underWay.add(work);
        options.run(work).then(
          (done) => {
            underWay.delete(work);
            subscriber.next(done);
            pump();
          },
          (error) => subscriber.error(error),
        );
      };
      const pump = () => {
        if (!ready) return;
        while (!subscriber.closed && underWay.size < options.depth) {
          if (held === undefined) {
            if (queue.length === 0) break;
            const { work, used } = options.prepare(queue);
            queue = queue.slice(used);
            held = work;
          }
          const next = held;
          if ([...underWay].some((before) => options.conflicts(before, next))) break;
          held = undefined;
          start(next);
        }
        if (completed && queue.length === 0 && held === undefined && underWay.size === 0) subscriber.complete();
      };
      // One microtask later: all items of one group arrive in one turn and belong into one batch.
      const schedule = () => {
        if (scheduled) return;
        scheduled = true;
        queueMicrotask(() => {
          scheduled = false;
          if (!subscriber.closed) guarded();
        });
      };
      const guarded = () => {
        try {
          pump();
        } catch (error) {
          subscriber.error(error);
        }
      };
      options.ready.then(() => {
        ready = true;
        guarded();
      }, (error) => subscriber.error(error));
      return source.subscribe({
        next: (item) => {
          queue.push(item);
          schedule();
        },
        error: (error) => subscriber.error(error),
        complete: () => {
          completed = true;
          schedule();
        },
      });
    });
}
