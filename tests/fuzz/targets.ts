/**
 * Every decoder that reads bytes which somebody else wrote. Each may throw a TidemarkError, or what its place in the product
 * turns into one, and nothing else.
 */
import { loadConfig } from "../../config/load.ts";
import { encodeColumn } from "../../pipeline/columns/mod.ts";
import { BaseCommand_Type } from "../../pipeline/proto/gen/pulsar_api_pb.ts";
import { DataType } from "../../pipeline/proto/gen/schema_pb.ts";
import { parseRunState } from "../../pipeline/flow/state/run_state.ts";
import type { LogRecord } from "../../pipeline/model/mod.ts";
import { parseDeltaCell } from "../../sources/binlog/delta_cell.ts";
import { readDeltaFile } from "../../sources/binlog/delta.ts";
import { readEnvelope } from "../../sources/binlog/envelope.ts";
import { parseManifest } from "../../sources/binlog/manifest.ts";
import { decodeRecord } from "../../sources/log/decode.ts";
import { parseRecords as parseLogRecords } from "../../sources/log/inspect/records_file.ts";
import { isUndecodable } from "../../sources/log/kafka/errors.ts";
import { parseFetchResponse } from "../../sources/log/kafka/fetch_response.ts";
import { assertWhole, readBatches, recordsOf } from "../../sources/log/kafka/record_batch.ts";
import { readBlockFront, readBlockObject, readFooterObject } from "../../sources/log/woodpecker/block_object.ts";
import { recordOf } from "../../sources/log/woodpecker/entry.ts";
import { FileSegment } from "../../sources/log/woodpecker/file_segment.ts";
import { FrameError, readIndex } from "../../sources/log/woodpecker/frames.ts";
import { decodeLog, decodeSegment } from "../../sources/log/woodpecker/keys.ts";
import { encodeFrame, parseFrame, parseMessage } from "../../sources/log/pulsar/frame.ts";
import { decompressLz4Block } from "../../sources/log/pulsar/lz4_block.ts";
import { VchannelBook } from "../../sources/log/vchannel_book.ts";
import type { MetaRecord } from "../../sources/meta/keys.ts";
import { parseRecords as parseMetaRecords } from "../../sources/meta/records.ts";
import { decodeSnapshot } from "../../sources/meta/snapshot.ts";
import { createDeadLetters } from "../../stores/dead_letters.ts";
import {
  bytesSource,
  createMemoryStore,
  decodeCatalogEntry,
  decodeFullMeta,
  decodeManifest,
  encodeCatalogEntry,
  openParquet,
  readLogBytes,
} from "../../stores/mod.ts";
import { answerOf, at, batchOf, otherCodec } from "../sources/log/batches.ts";
import { readTarZst } from "../stack/recorded/tar.ts";
import { randomOf } from "./mutation.ts";

export interface FuzzTarget {
  readonly name: string;
  /** Right ones. */
  readonly seeds: () => Promise<readonly Uint8Array[]> | readonly Uint8Array[];
  readonly run: (bytes: Uint8Array) => Promise<unknown> | unknown;
  /** What else it may throw: its caller in the product makes an error of ours of it, with the name of the file or topic. */
  readonly throws?: (thrown: unknown) => boolean;
}

const HERE = new URL("./", import.meta.url);

const TEXT = {
  fieldId: 101n,
  name: "title",
  type: DataType.VarChar,
  elementType: DataType.None,
  dim: 0,
  isDynamic: false,
  valid: undefined,
};
const LETTER = {
  sink: "replica",
  collectionId: 470597784452279572n,
  collection: "default.c",
  target: "default.d",
  partitionId: -1n,
  partition: "_default",
  ts: 470598793474605057n,
  position: "by-dev-rootcoord-dml_0@17",
  reason: "field title has 9 bytes, the target's max_length is 8",
};

const PULSAR_FRAMES = [
  encodeFrame({ type: BaseCommand_Type.PING, ping: {} }).subarray(4),
  encodeFrame(
    { type: BaseCommand_Type.MESSAGE, message: { consumerId: 1n, messageId: { ledgerId: 5n, entryId: 7n } } },
    // Without a checksum: the length of the metadata, and no metadata.
    Uint8Array.from([0, 0, 0, 0, 1, 2, 3]),
  ).subarray(4),
];
const file = (path: string): Uint8Array => Deno.readFileSync(new URL(path, HERE));
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const utf8 = (value: string): Uint8Array => new TextEncoder().encode(value);

/** Every file below a folder. */
function below(path: string, most = 60): Uint8Array[] {
  const found: Uint8Array[] = [];
  for (const entry of Deno.readDirSync(new URL(path, HERE))) {
    const name = `${path}${entry.name}`;
    if (entry.isDirectory) found.push(...below(`${name}/`, most));
    else found.push(file(name));
  }
  return found.slice(0, most);
}

/** Files of genuine logs of Woodpecker. */
function woodpeckerFiles(wanted: (path: string) => boolean): Uint8Array[] {
  return [...readTarZst(file("../samples/woodpecker.tar.zst"))]
    .flatMap(([path, content]) => wanted(path) ? [new Uint8Array(content)] : []).slice(0, 60);
}

/** Records of a file of vectors, each as one text: the headers' names stay as they are, their values and the value are mutated. */
function logRecords(): Uint8Array[] {
  return ["wal-gen1", "wal-gen1-v25", "wal-gen2"].flatMap((name) =>
    text(file(`../vectors/${name}.jsonl`)).trim().split("\n").map(utf8)
  );
}

/** A record whose value, or one of whose headers, is what the bytes say; the rest is right. */
function recordFrom(bytes: Uint8Array): LogRecord {
  const random = randomOf(bytes.length * 31 + (bytes[0] ?? 0) * 7 + (bytes.at(-1) ?? 0));
  const whole = vectors()[random(vectors().length)]!;
  const header = random(4) === 0 && whole.headers.length > 0 ? random(whole.headers.length) : -1;
  return {
    ...whole,
    value: header < 0 ? bytes : whole.value,
    headers: whole.headers.map(([name, value], i) => [name, i === header ? bytes : value] as const),
  };
}

let known: readonly LogRecord[] | undefined;

function vectors(): readonly LogRecord[] {
  return known ??= logRecords().flatMap((line) => parseLogRecords(text(line), "v"));
}

async function readAll(bytes: Uint8Array): Promise<void> {
  const table = await openParquet(bytes, "f");
  for (const column of table.columns) for await (const page of column.pages()) void page.rows;
}

const PARQUET = () => [...below("../samples/parquet/").filter((bytes) => text(bytes.subarray(0, 4)) === "PAR1")];
const ENVELOPES = () => below("../samples/milvus-backup-0.5.16/binlogs/insert_log/");
const DELTAS = () => below("../samples/milvus-backup-0.5.16/binlogs/delta_log/");

export const TARGETS: readonly FuzzTarget[] = [
  {
    name: "log_record",
    seeds: () =>
      vectors().flatMap(({ value, headers }) => [...value === null ? [] : [value], ...headers.map(([, item]) => item)]),
    run(bytes) {
      const record = recordFrom(bytes);
      const decoded = decodeRecord(record, { pchannel: record.topic, vchannels: new VchannelBook() });
      if (typeof decoded.kind !== "string") throw new Error("A record was decoded to nothing");
    },
  },
  {
    name: "log_record_file",
    seeds: logRecords,
    run: (bytes) => parseLogRecords(text(bytes), "f"),
  },
  {
    // Without snappy and lz4, which Milvus does not write: their WebAssembly takes what memory a broken length announces.
    name: "record_batch",
    seeds: () =>
      (["none", "gzip", "zstd"] as const).map((codec) =>
        at(
          batchOf([{ value: utf8("a".repeat(300)), headers: [["h", utf8("1")]] }, { value: null }, {
            value: utf8("b"),
          }], codec),
          7n,
        )
      ),
    throws: isUndecodable,
    run(bytes) {
      for (const batch of readBatches(bytes)) {
        try {
          assertWhole(batch, "t");
        } catch (thrown) {
          // The checksum finds nearly everything; what it does not is read as well.
          if (!(thrown instanceof RangeError)) throw thrown;
        }
        recordsOf(batch, "t", otherCodec);
      }
    },
  },
  {
    name: "fetch_response",
    seeds: () =>
      [4, 11, 12, 13].map((version) => {
        const records = batchOf([{ value: utf8("v") }]);
        const topic = { name: "t", id: "00000000-0000-0000-0000-000000000001" };
        return answerOf(version, topic, [{ highWatermark: 3n, records, aborted: [[1n, 2n]] }]);
      }),
    throws: isUndecodable,
    run: (bytes) => parseFetchResponse(bytes, [4, 11, 12, 13][bytes.length % 4]!),
  },
  {
    name: "woodpecker_object",
    seeds: () => woodpeckerFiles((path) => path.endsWith(".blk")),
    throws: (thrown) => thrown instanceof FrameError,
    run(bytes) {
      const parsers = [readBlockFront, readFooterObject, readIndex, (all: Uint8Array) => {
        const object = readBlockObject(all);
        if (object.kind === "block") { for (const entry of object.entries) recordOf(entry, "t", 0n); }
      }];
      for (const parse of parsers) {
        try {
          parse(bytes);
        } catch (thrown) {
          if (!(thrown instanceof FrameError)) throw thrown;
        }
      }
      // The checksums find nearly everything; what they do not is read as well.
      recordOf(bytes.subarray(Math.min(71, bytes.length)), "t", 0n);
    },
  },
  {
    name: "woodpecker_file",
    seeds: () => woodpeckerFiles((path) => path.endsWith("data.log")),
    async run(bytes) {
      const store = createMemoryStore();
      await store.put("s/data.log", bytes);
      for (const [state, lastEntry] of [["active", -1n], ["completed", 40n]] as const) {
        const meta = { segment: 0n, state, lastEntry, nodes: [], acks: 1 };
        const segment = new FileSegment({ store, folder: "s", meta: () => meta });
        const { signal } = new AbortController();
        for (let entry = 0n, step; (step = await segment.read(entry, signal)).kind === "entries";) {
          entry += BigInt(step.entries.length);
        }
      }
    },
  },
  {
    name: "woodpecker_keys",
    seeds: () =>
      woodpeckerFiles((path) => path.endsWith("etcd.jsonl")).flatMap((lines) =>
        text(lines).trim().split("\n").map((line) => Uint8Array.fromBase64(JSON.parse(line).value))
      ),
    run(bytes) {
      decodeLog(bytes, "k");
      decodeSegment(bytes, 0n, "k");
    },
  },
  { name: "parquet", seeds: PARQUET, run: readAll },
  {
    name: "binlog_envelope",
    seeds: ENVELOPES,
    async run(bytes) {
      const { events } = await readEnvelope(bytesSource(bytes), "f");
      for (const { payload } of events) {
        const table = await openParquet(payload, "f");
        for (const column of table.columns) for await (const page of column.pages()) void page.rows;
      }
    },
  },
  {
    name: "binlog_manifest",
    seeds: () => below("../samples/storage/").filter((bytes) => isManifest(bytes)),
    run: (bytes) => parseManifest(bytes, "m"),
  },
  {
    name: "delta_log",
    seeds: () => [...DELTAS(), ...PARQUET()],
    async run(bytes) {
      for await (const mark of readDeltaFile(bytesSource(bytes), "f", -1n)) void mark.keys;
    },
  },
  {
    name: "delta_cell",
    seeds: () => [
      utf8('{"pk":-999999970652186,"ts":470598731369021441,"pkType":5}'),
      utf8('{"pk":"k\\"4é","ts":1,"pkType":21}'),
      utf8("42,470598731369021441"),
    ],
    throws: (thrown) => thrown instanceof Error,
    run: (bytes) => parseDeltaCell(bytes),
  },
  {
    name: "backup_meta",
    seeds: () => [file("../samples/milvus-backup-0.5.16/meta/full_meta.json")],
    run: (bytes) => decodeFullMeta(text(bytes), "b"),
  },
  {
    name: "backup_manifest",
    seeds: () => [file("../samples/before_queues/b/tidemark.json")],
    run: (bytes) => decodeManifest(text(bytes), "b").objects,
  },
  {
    name: "backup_catalog",
    seeds: () => {
      const backup = decodeFullMeta(text(file("../samples/milvus-backup-0.5.16/meta/full_meta.json")), "b");
      const catalog = {
        databases: backup.databases,
        collections: backup.collections.map(({ collection }) => collection),
        rbac: { users: [], roles: [], grants: [], privilegeGroups: [] },
        notLive: [],
      };
      return [utf8(encodeCatalogEntry("b", { revision: 470n, ts: 470597853918265344n, catalog }))];
    },
    run: (bytes) => decodeCatalogEntry(text(bytes), "c"),
  },
  {
    name: "log_archive",
    seeds: () => below("../samples/before_queues/b/log/"),
    async run(bytes) {
      for await (const records of readLogBytes(bytes, "f", 0n)) void records.length;
    },
  },
  {
    name: "dead_letters",
    async seeds() {
      const store = createMemoryStore();
      const letters = createDeadLetters({ store, program: "fuzz" });
      const title = { ...TEXT, data: { kind: "utf8" as const, values: [utf8("xxxxxxxxx")] } };
      await letters.append([-5n, "ä key"].map((key) => ({ ...LETTER, key, fieldsData: [encodeColumn(title)] })));
      return [await store.get("00001.parquet")];
    },
    async run(bytes) {
      const store = createMemoryStore();
      await store.put("00001.parquet", bytes);
      await createDeadLetters({ store, program: "fuzz" }).read("00001.parquet");
    },
  },
  {
    name: "pulsar_frame",
    seeds: () => PULSAR_FRAMES,
    throws: (thrown) => thrown instanceof RangeError,
    run(bytes) {
      const { rest } = parseFrame(bytes);
      if (rest.length > 0) parseMessage(rest);
    },
  },
  {
    name: "lz4_block",
    seeds: () => [Uint8Array.from([0x50, 1, 2, 3, 4, 5]), Uint8Array.from([0x1f, 7, 1, 0, 255, 3, 0x10, 9])],
    throws: (thrown) => thrown instanceof RangeError,
    run: (bytes) => decompressLz4Block(bytes, (bytes[0] ?? 0) * 4096),
  },
  {
    name: "etcd_values",
    seeds: () => ["meta-v22", "meta-v23", "meta-v24", "meta-v25", "meta-v26"].flatMap((name) => metaValues(name)),
    run(bytes) {
      const random = randomOf(bytes.length * 17 + (bytes[0] ?? 0) + (bytes.at(-1) ?? 0) * 3);
      const name = ["meta-v22", "meta-v23", "meta-v24", "meta-v25", "meta-v26"][random(5)]!;
      const records = metaRecords(name);
      const spoiled = random(records.length);
      decodeSnapshot(records.map((record, i) => i === spoiled ? { ...record, value: bytes } : record), {
        metaRoot: "by-dev/meta",
        kvRoot: "by-dev/kv",
      });
    },
  },
  {
    name: "run_state",
    seeds: () => [file("../samples/before_queues/state.json")],
    run: (bytes) => parseRunState(text(bytes), "s"),
  },
  {
    name: "config",
    seeds: () => below("../../config/examples/"),
    run(bytes) {
      const { config, problems } = loadConfig(["f"], { environment: () => "x", readText: () => text(bytes) });
      if (config === undefined && problems.length === 0) throw new Error("A configuration was refused without a word");
    },
  },
];

/** In either form. */
function isManifest(bytes: Uint8Array): boolean {
  try {
    parseManifest(bytes, "m");
    return true;
  } catch {
    return false;
  }
}

const metas = new Map<string, readonly MetaRecord[]>();

function metaRecords(name: string): readonly MetaRecord[] {
  const found = metas.get(name) ?? [...parseMetaRecords(text(file(`../vectors/${name}.jsonl`)))];
  metas.set(name, found);
  return found;
}

function metaValues(name: string): Uint8Array[] {
  return metaRecords(name).map(({ value }) => value).filter((value) => value.length > 0);
}
