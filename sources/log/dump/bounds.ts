/**
 * Where a channel's log begins and ends. DumpMessages says neither, and a start that was truncated it replaces by a later one in
 * silence. So the beginning is the first message that comes when everything is asked for, or what Milvus itself still needs,
 * whichever is earlier; and the end is looked for among the newest messages.
 */
import { after, type HybridTs, type LogBounds, type Position } from "../../../pipeline/model/mod.ts";
import type { DumpClient } from "./client.ts";
import type { ChannelFacts } from "./keys.ts";

/** The newest messages are looked for among those of so long first: most logs have one. */
const NEWEST_MS = 10_000n;
const LOGICAL_BITS = 18n;

/** Nothing from there on was removed. `upTo`: the source's clock. */
export async function beginningOf(
  client: DumpClient,
  topic: string,
  { held }: ChannelFacts,
  upTo: HybridTs,
  signal: AbortSignal,
): Promise<Position> {
  let first: Position | undefined;
  for await (const { records, tick, safe } of client.window({ topic, from: undefined, after: 0n }, upTo, signal)) {
    for (const { offset } of records) if (first === undefined || offset < first) first = offset;
    // They come in the order of their ticks: this one says that nothing follows which lies before.
    if (tick === undefined || (safe !== undefined && safe >= first!)) break;
  }
  if (first === undefined) return held ?? 0n;
  return held !== undefined && held < first ? held : first;
}

export async function boundsOf(
  client: DumpClient,
  topic: string,
  facts: ChannelFacts,
  signal: AbortSignal,
): Promise<LogBounds> {
  const upTo = await client.now(signal);
  const earliest = await beginningOf(client, topic, facts, upTo, signal);
  const from = facts.restart ?? earliest;
  const recent = upTo - (NEWEST_MS << LOGICAL_BITS);
  const last = await lastOf(client, { topic, from, after: recent > 0n ? recent : 0n }, upTo, signal) ??
    await lastOf(client, { topic, from, after: 0n }, upTo, signal);
  const { reached = 0n, topicId } = facts;
  const behind = last === undefined ? 0n : after(last);
  const latest = behind > reached ? behind : reached;
  return { earliest, latest: latest > earliest ? latest : earliest, topicId };
}

async function lastOf(
  client: DumpClient,
  request: { readonly topic: string; readonly from: Position; readonly after: HybridTs },
  upTo: HybridTs,
  signal: AbortSignal,
): Promise<Position | undefined> {
  let last: Position | undefined;
  for await (const { records } of client.window(request, upTo, signal)) {
    for (const { offset } of records) if (last === undefined || offset > last) last = offset;
  }
  return last;
}
