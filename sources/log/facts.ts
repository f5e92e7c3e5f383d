/** What an archive's index says of a raw record: enough to find it again without decoding. */
import type { Alteration, HybridTs, LogRecord } from "../../pipeline/model/mod.ts";
import { decodeRecord } from "./decode.ts";
import { alterationOf } from "./gen2/alteration.ts";
import { VchannelBook } from "./vchannel_book.ts";

export interface RecordFacts {
  /** Effective timestamp, 0 where the record has none. */
  readonly ts: HybridTs;
  /** Empty for records of the whole pchannel, and where the record does not say. */
  readonly vchannel: string;
  /** `insert`, `delete`, `tick`, `skip`, `unknown`, or the name of the DDL operation. */
  readonly type: string;
  readonly collectionId: bigint | undefined;
  /** Of a change of partitions. */
  readonly partitionIds?: readonly bigint[];
  /** What its collection became by it. */
  readonly alteration?: Alteration;
}

export function recordFacts(record: LogRecord): RecordFacts {
  const said = decodeRecord(record, { pchannel: record.topic, vchannels: new VchannelBook() });
  switch (said.kind) {
    case "tick":
      return { ts: said.ts, vchannel: "", type: "tick", collectionId: undefined };
    case "skip":
      return { ts: 0n, vchannel: "", type: "skip", collectionId: undefined };
    case "events": {
      const first = said.events[0]!;
      return { ts: first.ts, vchannel: first.vchannel, type: first.kind, collectionId: first.collectionId };
    }
    case "ddl": {
      const { ts, vchannel, operation: type, collectionId, partitionIds } = said;
      const alteration = alterationOf(said);
      return {
        ...{ ts, vchannel, type, collectionId },
        ...partitionIds.length === 0 ? {} : { partitionIds },
        ...alteration === undefined ? {} : { alteration },
      };
    }
    case "block":
      return {
        ts: said.ts,
        vchannel: said.vchannel,
        type: "unknown",
        collectionId: said.collectionId === -1n ? undefined : said.collectionId,
      };
    case "insert":
    case "delete":
      return { ts: said.ts, vchannel: said.vchannel, type: said.kind, collectionId: said.collectionId };
    default:
      // Marks of generation 2's transactions: kept with their channel's records.
      return { ts: 0n, vchannel: "", type: "system", collectionId: undefined };
  }
}
