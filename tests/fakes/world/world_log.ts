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

  constructor(build: MessageBuilder, chance: (of: number) => boolean) {
    this.nodes = new StreamingNodes(this.log, build, chance);
  }

  /** A record of generation 1. Returns its offset. */
  append(pchannel: string, event: Record<string, unknown>, ts: HybridTs): bigint {
    const full = { generation: 1, ts, pchannel, vchannel: "", ...event };
    const n = this.#events.push(full as unknown as Decoded) - 1;
    return this.log.append(pchannel, [{ value: new TextEncoder().encode(`${n}`) }]);
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
    return { ts: event.ts, vchannel: event.vchannel, type, collectionId: event.collectionId };
  };
}
