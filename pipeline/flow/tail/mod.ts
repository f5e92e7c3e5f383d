/** The log as all sinks read it: one stream, one window, one watch, and where it ends. */
export { CatalogWatch } from "./catalog_watch.ts";
export { addDrop } from "./drop_records.ts";
export { endAfter, endAt, endAtBase, endEach, endless, type RunEnd } from "./end.ts";
export type { TailMember } from "./member.ts";
export { collectionOf, lostPositions, pchannelOf, prunePositions, startPoints } from "./pchannels.ts";
export { watchRetention } from "./retention_watch.ts";
export { SharedGate } from "./shared_gate.ts";
export { dropsBehind, lastTickBehind, lastTicks } from "./silent_channels.ts";
export { staleCuts } from "./stale_cuts.ts";
export { SourceClock } from "./source_clock.ts";
export { selectedPchannels, type TailConsumer, TailStream } from "./stream.ts";
export { Window } from "./window.ts";
export { passTo, placeOf, startsOf } from "./places.ts";
