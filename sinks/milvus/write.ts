/** Insert and upsert. */
import { TidemarkError } from "../../pipeline/errors.ts";
import { selectRows } from "../../pipeline/columns/mod.ts";
import type { WriteRequest } from "../../pipeline/model/mod.ts";
import type { MutationResult } from "../../pipeline/proto/gen/milvus_pb.ts";
import { METHOD, type MilvusClient } from "./client.ts";
import { type DescribedCollection, type Describer, targetText } from "./described.ts";
import { isTooLargeFault } from "./fault.ts";
import type { Features } from "./features.ts";
import { columnHead, type Mutation, mutationSize, spliceMutation } from "./splice.ts";

export interface WriterOptions {
  readonly client: MilvusClient;
  readonly describer: Describer;
  readonly features: (signal: AbortSignal) => Promise<Features>;
  /** A request beyond it is split by rows. */
  readonly maxBatchBytes: number;
}

export type Writer = (request: WriteRequest, signal: AbortSignal) => Promise<void>;

export function createWriter({ client, describer, features, maxBatchBytes }: WriterOptions): Writer {
  async function write(request: WriteRequest, signal: AbortSignal): Promise<void> {
    if (request.rows === 0) return;
    const collection = await describer.describe(request.target, signal);
    const columns = columnsFor(request, collection, (await features(signal)).fillsDefaults);
    const partition = collection.hasPartitionKey || request.partition === "" ? undefined : request.partition;
    // Keys that the target makes itself cannot be upserted.
    const mode = collection.autoId ? "insert" : request.mode;
    try {
      await send({ target: request.target, partition, rows: request.rows, columns }, mode, collection.autoId, signal);
    } catch (error) {
      // Whatever was refused, the definition may have changed since it was described.
      describer.forget(request.target);
      throw error;
    }
  }

  async function send(
    mutation: Mutation,
    mode: "insert" | "upsert",
    autoId: boolean,
    signal: AbortSignal,
  ): Promise<void> {
    const pieces = Math.ceil(mutationSize(mutation) / maxBatchBytes);
    if (pieces > 1 && mutation.rows > 1) {
      await sendPieces(mutation, Math.min(pieces, mutation.rows), mode, autoId, signal);
      return;
    }
    try {
      await sendOne(mutation, mode, autoId, signal);
    } catch (error) {
      if (!isTooLargeFault(error) || mutation.rows === 1) throw error;
      await sendPieces(mutation, 2, mode, autoId, signal);
    }
  }

  async function sendPieces(
    mutation: Mutation,
    pieces: number,
    mode: "insert" | "upsert",
    autoId: boolean,
    signal: AbortSignal,
  ): Promise<void> {
    for (let piece = 0; piece < pieces; piece++) {
      const start = Math.floor(mutation.rows * piece / pieces);
      const end = Math.floor(mutation.rows * (piece + 1) / pieces);
      if (start === end) continue;
      const columns = selectRows(mutation.columns, mutation.rows, { start, end });
      await send({ ...mutation, rows: end - start, columns }, mode, autoId, signal);
    }
  }

  async function sendOne(
    mutation: Mutation,
    mode: "insert" | "upsert",
    autoId: boolean,
    signal: AbortSignal,
  ): Promise<void> {
    const body = spliceMutation(mutation);
    const { target, rows } = mutation;
    const request = { what: `${mode} ${rows} rows into ${targetText(target)}`, db: target.db, signal };
    let uncertain = false;
    const result = await client.patience.persist(async (_tried, last) => {
      if (last?.code === "unreachable") {
        // The rows may have arrived although the answer did not. Once the server answers again, what it took of the
        // lost request has its timestamps, and an upsert replaces it: an insert would leave every row twice.
        uncertain = true;
        await client.call(METHOD.getVersion, {}, { ...request, patient: false });
      }
      if (mode === "insert" && !(uncertain && !autoId)) return await client.send(METHOD.insert, body, request);
      return await client.send(METHOD.upsert, body, request);
    }, signal);
    checkResult(result, request.what, rows);
  }

  return write;
}

/** The columns to send: without what the target computes, and refused here where the server's refusal would be worse. */
export function columnsFor(
  request: WriteRequest,
  collection: DescribedCollection,
  fillsDefaults: boolean,
): readonly Uint8Array[] {
  const where = targetText(request.target);
  const heads = request.fieldsData.map(columnHead);
  const kept: Uint8Array[] = [];
  const sent = new Set<string>();
  for (const head of heads) {
    if (collection.functionOutputs.has(head.name)) continue;
    if (collection.autoId && head.name === collection.primaryKey) continue;
    if (head.isDynamic) {
      if (!collection.hasDynamicField) throw refused(where, `the dynamic column ${head.name || "$meta"}`);
    } else if (!collection.columns.has(head.name)) {
      throw refused(where, `the column ${head.name}`);
    }
    sent.add(head.name);
    kept.push(head.bytes);
  }
  if (!fillsDefaults) {
    const missing = [...collection.columns].filter((name) =>
      !sent.has(name) && !(collection.autoId && name === collection.primaryKey)
    );
    if (missing.length > 0) {
      throw new TidemarkError(
        "refused",
        `The collection ${where} on the target has columns that the rows do not have: ${missing.join(", ")}`,
        {
          hint:
            "This release of Milvus does not fill missing columns. Let the target's collection be created by Tidemark.",
        },
      );
    }
  }
  return kept;
}

function refused(where: string, what: string): TidemarkError {
  return new TidemarkError("refused", `The collection ${where} on the target does not have ${what}`, {
    hint:
      "Source and target have different schemas: let Tidemark create the target's collection, or add the column there.",
  });
}

function checkResult(result: MutationResult, what: string, rows: number): void {
  // Releases differ in which counter an upsert fills.
  const written = result.insertCnt > result.upsertCnt ? result.insertCnt : result.upsertCnt;
  if (result.errIndex.length === 0 && written === BigInt(rows)) return;
  throw new TidemarkError(
    "refused",
    `The target took ${written} of ${rows} rows when asked to ${what}` +
      (result.errIndex.length > 0 ? ` (it names ${result.errIndex.length} as failed)` : ""),
  );
}
