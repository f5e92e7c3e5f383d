/** A {@link MilvusModel} as the source of a run that follows its files. */
import { create } from "@bufbuild/protobuf";
import { TidemarkError } from "../../pipeline/errors.ts";
import type {
  BinlogSource,
  Collection,
  Column,
  DeleteMark,
  LogFile,
  MetaSource,
  ObjectInfo,
  ObjectStore,
  Segment,
  Snapshot,
} from "../../pipeline/model/mod.ts";
import { CollectionSchemaSchema, DataType, FieldSchemaSchema } from "../../pipeline/proto/gen/schema_pb.ts";
import { openFilesLog } from "../../sources/log/mod.ts";
import { createMemoryStore } from "../../stores/mod.ts";
import type { MilvusModel, ModelCollection } from "../pipeline/transforms/milvus_model.ts";
import { take } from "../pipeline/transforms/model_copy.ts";
import type { PipelineSource } from "./pipeline.ts";

export class ModelSource implements PipelineSource {
  /** Awaited before a segment is read. */
  beforeRows: () => Promise<void> = () => Promise.resolve();
  /** Told before its metadata, a listing, a segment's rows or a file's deletes are read. */
  reading: () => void = () => {};
  /** Of the last snapshot. */
  taken: Snapshot | undefined;

  constructor(readonly model: MilvusModel) {}

  readonly meta: MetaSource = {
    snapshot: async () => {
      await Promise.resolve();
      this.reading();
      return this.taken = this.#snapshot();
    },
    watch: (_revision, signal) => nothing(signal),
    lookup: (id) => {
      const collection = this.#snapshot().catalog.collections.find((item) => item.id === id);
      return Promise.resolve(collection === undefined ? { state: "unknown" } : { state: "live", collection });
    },
    check: () => Promise.resolve([]),
    close: () => Promise.resolve(),
  };

  readonly log = openFilesLog({ poll: 1000, flush: undefined });

  readonly follow = (): never => {
    throw new Error("there is no log");
  };

  readonly describe = (): never => {
    throw new Error("there is no log");
  };

  /** Files that are there, and empty. */
  readonly #files: ObjectStore = { ...createMemoryStore(), head: (key) => Promise.resolve(this.#info(key)) };

  #info(path: string): ObjectInfo | undefined {
    const there = this.model.segments.some(({ id }) => path.startsWith(`${id}/`));
    return there ? { key: path, size: 1n } as ObjectInfo : undefined;
  }

  readonly binlogs: BinlogSource = {
    verify: (collectionId) => {
      this.reading();
      const own = new Map(
        this.model.segments.filter(({ collection }) => collection === collectionId).map((s) => [s.id, s]),
      );
      const deltaFiles = this.model.deltaFiles.flatMap(({ segment, deletes }, i): LogFile[] => {
        const found = own.get(segment);
        if (found === undefined) return [];
        const path = `delta_log/${collectionId}/${found.partition}/${segment}/${i}`;
        return [{ path, logId: BigInt(i), entries: BigInt(deletes.length), tsFrom: 0n, tsTo: 0n, size: 0n }];
      });
      const listed = ({ path }: LogFile) => this.#info(path);
      return Promise.resolve({ findings: [], deltaFiles, insertFiles: 0, insertBytes: 0n, listed });
    },
    rows: (segment, schema, fieldIds) => this.#rows(segment, schema.fields.length === 0 ? [] : fieldIds),
    deletes: (file) => this.#deletes(file),
    deletesIn: () => {
      throw new Error("no bytes");
    },
    object: ({ path }) => ({ key: path, store: this.#files }),
    check: () => Promise.resolve([]),
    pauseGc: () => Promise.resolve({ [Symbol.asyncDispose]: () => Promise.resolve() }),
    close: () => Promise.resolve(),
  };

  #snapshot(): Snapshot {
    const { snapshot } = take(this.model);
    const { catalog } = snapshot;
    const collections = catalog.collections.map((collection): Collection => {
      const own = this.model.collections.find(({ id }) => id === collection.id)!;
      return {
        ...collection,
        schema: schemaOf(own, collection.name),
        load: { scope: "collection", partitionIds: [], replicas: 1, loadFields: [], loaded: true },
      };
    });
    // No queue is read.
    const checkpoints = new Map([...snapshot.checkpoints].map(([name, point]) => [name, { ...point, offset: 0n }]));
    return { ...snapshot, catalog: { ...catalog, collections }, checkpoints };
  }

  async *#rows(segment: Segment, fieldIds: readonly bigint[] | "all") {
    this.reading();
    await this.beforeRows();
    const found = this.model.segments.find(({ id }) => id === segment.id);
    if (found === undefined) throw new TidemarkError("not_found", `Segment ${segment.id} is gone`);
    const own = this.model.collections.find(({ id }) => id === segment.collectionId)!;
    const rows = found.files.flat();
    const values = BigInt64Array.from(rows.map(({ value }) => value));
    const text = new TextEncoder();
    const columns = [
      own.partitionKey
        ? column(100n, "id", DataType.VarChar, { kind: "utf8", values: rows.map(({ key }) => text.encode(`k${key}`)) })
        : column(100n, "id", DataType.Int64, { kind: "int64", values: BigInt64Array.from(rows.map(({ key }) => key)) }),
      column(101n, "value", DataType.Int64, { kind: "int64", values }),
    ];
    yield {
      firstRow: 0,
      rows: rows.length,
      columns: columns.filter(({ fieldId }) => fieldIds === "all" || fieldIds.includes(fieldId)),
      timestamps: BigUint64Array.from(rows.map(({ ts }) => ts)),
    };
  }

  async *#deletes({ path, logId }: LogFile): AsyncGenerator<DeleteMark> {
    await Promise.resolve();
    this.reading();
    const [, collection, , segment] = path.split("/").map((part) => /^\d+$/.test(part) ? BigInt(part) : -1n);
    const file = this.model.deltaFiles[Number(logId)];
    if (file === undefined || file.segment !== segment) throw new TidemarkError("not_found", `${path} is gone`);
    const own = this.model.collections.find(({ id }) => id === collection)!;
    for (const { key, ts, partition } of file.deletes) {
      yield {
        partitionId: partition,
        keys: own.partitionKey
          ? { kind: "varchar", values: [`k${key}`] }
          : { kind: "int64", values: BigInt64Array.of(key) },
        timestamps: BigUint64Array.of(ts),
      };
    }
  }
}

function column(fieldId: bigint, name: string, type: DataType, data: Column["data"]): Column {
  return { fieldId, name, type, elementType: DataType.None, dim: 0, isDynamic: false, valid: undefined, data };
}

function schemaOf({ partitionKey }: ModelCollection, name: string): Collection["schema"] {
  const dataType = partitionKey ? DataType.VarChar : DataType.Int64;
  const key = create(FieldSchemaSchema, { fieldID: 100n, name: "id", isPrimaryKey: true, dataType });
  const value = create(FieldSchemaSchema, {
    fieldID: 101n,
    name: "value",
    dataType: DataType.Int64,
    isPartitionKey: partitionKey,
  });
  return create(CollectionSchemaSchema, { name, fields: [key, value] });
}

// deno-lint-ignore require-yield
async function* nothing(signal: AbortSignal): AsyncGenerator<never> {
  await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
