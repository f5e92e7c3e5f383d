/**
 * The log of a world. Of generation 1 a record is the number of its event; of generation 2 records are what streaming nodes write, and
 * the reader of the product decodes them.
 */
import type { DescribeRecord } from "../../../pipeline/flow/mod.ts";
import type { HybridTs, LogEvent, LogRecord, LogSource } from "../../../pipeline/model/mod.ts";
import type { DecodeContext, Decoded } from "../../../sources/log/mod.ts";
import { decodeRecord, followPchannel, isGeneration2, recordFacts } from "../../../sources/log/mod.ts";
import { FakeLog } from "../log.ts";
import type { PipelineSource } from "../pipeline.ts";
import type { MessageBuilder } from "../streaming/action.ts";
import { StreamingNodes } from "../streaming/node.ts";

export class WorldLog {
  readonly log = new FakeLog({ maxRecords: 8, waitMs: 2 });
  readonly nodes: StreamingNodes;
  readonly #events: Decoded[] = [];
  readonly #retries: ((of: number) => boolean) | undefined;
  /** Messages of generation 1 that their producers write once more, behind later ticks. */
  #again: (readonly [pchannel: string, value: Uint8Array])[] = [];

  /** `retries`: which messages of generation 1 are written twice, and when; left out: none. */
  constructor(build: MessageBuilder, chance: (of: number) => boolean, retries: ((of: number) => boolean) | undefined) {
    this.nodes = new StreamingNodes(this.log, build, chance);
    this.#retries = retries;
  }

  /** A record of generation 1. Returns its offset. */
  append(pchannel: string, event: Record<string, unknown>, ts: HybridTs): bigint {
    const n = this.#events.length;
    const full = {
      generation: 1,
      ts,
      pchannel,
      vchannel: "",
      ...event,
      ...event.msgId === undefined ? {} : { msgId: BigInt(n + 1) },
    };
    this.#events.push(full as unknown as Decoded);
    const value = new TextEncoder().encode(`${n}`);
    const offset = this.log.append(pchannel, [{ value }]);
    if (event.msgId !== undefined && this.#retries?.(5)) this.#again.push([pchannel, value]);
    return offset;
  }

  /** What is written twice is, some of it. */
  retry(): void {
    if (this.#again.length === 0 || this.#retries?.(3) !== true) return;
    for (const [pchannel, value] of this.#again) this.log.append(pchannel, [{ value }]);
    this.#again = [];
  }

  /** Offset of the last record. */
  latest(pchannel: string): bigint {
    return this.log.append(pchannel, []);
  }

  readonly #decode = (record: LogRecord, context: DecodeContext): Decoded => {
    if (isGeneration2(record)) return decodeRecord(record, context);
    const event = this.#events[Number(new TextDecoder().decode(record.value!))]!;
    if (event.kind === "tick") return event;
    return { ...event, offset: record.offset, bytes: record.value!.length } as Decoded;
  };

  readonly follow: PipelineSource["follow"] = (request, signal) => this.followOf(this.log)(request, signal);

  /** Follows a log that holds its records, an archive of them for instance. */
  followOf(log: LogSource): PipelineSource["follow"] {
    return (request, signal) => followPchannel(log, { ...request, decode: this.#decode }, signal);
  }

  readonly describe: DescribeRecord = (record) => {
    if (isGeneration2(record)) return recordFacts(record);
    const event = this.#decode(record, undefined as never) as LogEvent | { readonly kind: "tick"; readonly ts: bigint };
    if (event.kind === "tick") return { ts: event.ts, vchannel: "", type: "tick", collectionId: undefined };
    const type = event.kind === "ddl" ? event.operation : event.kind;
    const { ts, vchannel, collectionId } = event;
    return { ts, vchannel, type, collectionId, ...event.kind === "ddl" ? { partitionIds: event.partitionIds } : {} };
  };
}
