/** Who takes part in the tail of a run. */
import type { CatalogChange, TickGroup } from "../../model/mod.ts";
import type { TailConsumer } from "./stream.ts";

/** A sink's part of the tail. */
export interface TailMember {
  /** Its side of the next stream. */
  consume(acknowledged: (group: TickGroup) => void): TailConsumer;
  /** The vchannels of a collection, if it knows it. */
  vchannelsOf(collectionId: bigint): readonly string[] | undefined;
  /** Once, when its first stream has begun: the catalog as it is, with all that changed since the run's snapshot. */
  readonly begun?: (everything: CatalogChange) => Promise<void>;
  /** Its next stream has begun: what had to wait for that. */
  rejoined?(): Promise<void>;
  /** The source's catalog changed. */
  changed(change: CatalogChange): Promise<void>;
  /** What it does while a stream is read; until the signal fires. */
  beside(signal: AbortSignal): Promise<void>;
  /** A stream ended: all that it accepted is durable when this resolves, and its state says where it goes on. */
  settle(): Promise<void>;
}
