/**
 * Insert and upsert. Where the target's own upsert puts rows of a partition-key collection into wrong partitions, a row is
 * replaced by two requests instead: a delete of its key in all partitions and, once that is acknowledged, an insert. The
 * server stamps each request when it takes it, so the insert is later than the delete and the delete later than whatever
 * the key had before; both are sent again together, never the insert alone. In between the row is not there to be read.
 */
import { TidemarkError } from "../../pipeline/errors.ts";
import { keysOf, selectRows } from "../../pipeline/columns/mod.ts";
import type { RowRefusal, WriteRequest } from "../../pipeline/model/mod.ts";
import type { MutationResult } from "../../pipeline/proto/gen/milvus_pb.ts";
import { METHOD, type MilvusClient } from "./client.ts";
import { clientForm, nestedName, withStructs } from "./client_form.ts";
import { type DescribedCollection, type Describer, targetText } from "./described.ts";
import { isContentRefusal, isTooLargeFault, ServerAnswer } from "./fault.ts";
import type { Features } from "./features.ts";
import type { Remover } from "./remove.ts";
import { isolateRows } from "./refused_rows.ts";
import { unfitRows, unfitText } from "./row_check.ts";
import { columnHead, type Mutation, mutationSize, spliceMutation } from "./splice.ts";
import { plural } from "../../pipeline/units/mod.ts";

export interface WriterOptions {
  readonly client: Pick<MilvusClient, "call" | "send" | "patience">;
  readonly describer: Describer;
  readonly features: (signal: AbortSignal) => Promise<Features>;
  readonly remover: Remover;
  /** A request beyond it is split by rows. */
  readonly maxBatchBytes: number;
  /** For tests: the process may be killed here. */
  readonly passed: (phase: "between_delete_and_insert") => void;
}

export type Writer = (request: WriteRequest, signal: AbortSignal) => Promise<void>;

/** How the rows of one request go. */
interface Way {
  readonly collectionId: bigint;
  readonly collection: DescribedCollection;
  /** `replace`: by a delete and an insert. */
  readonly mode: "insert" | "upsert" | "replace";
  /** What to do once an insert may have arrived though its answer did not. */
  readonly again: "insert" | "upsert" | "replace";
  /** Undefined: one row that is refused lets the request fail. */
  readonly refused?: ((rows: readonly RowRefusal[]) => void) | undefined;
}

export function createWriter(
  { client, describer, features, remover, maxBatchBytes, passed }: WriterOptions,
): Writer {
  async function write(request: WriteRequest, signal: AbortSignal): Promise<void> {
    if (request.rows === 0) return;
    const collection = await describer.describe(request.target, signal);
    const known = await features(signal);
    const columns = columnsFor(request, collection, known.fillsDefaults);
    const partition = collection.hasPartitionKey || request.partition === "" ? undefined : request.partition;
    const mutation = { target: request.target, partition, rows: request.rows, columns };
    const refused: RowRefusal[] = [];
    const way = wayOf(request, collection, known);
    const note = request.refused === undefined
      ? undefined
      : (rows: readonly RowRefusal[]) => void refused.push(...rows);
    try {
      await send(mutation, 0, { ...way, refused: note }, signal);
      if (refused.length > 0) request.refused!(refused);
    } catch (error) {
      // Whatever was refused, the definition may have changed since it was described.
      describer.forget(request.target);
      throw error;
    }
  }

  /** `first`: number of the mutation's first row in the request. */
  async function send(mutation: Mutation, first: number, way: Way, signal: AbortSignal): Promise<void> {
    const pieces = Math.ceil(mutationSize(mutation) / maxBatchBytes);
    if (pieces > 1 && mutation.rows > 1) {
      await sendPieces(mutation, Math.min(pieces, mutation.rows), first, way, signal);
      return;
    }
    try {
      // What the insert would be refused for must not be deleted first.
      if (way.mode === "replace" && way.refused !== undefined) refuseUnfit(mutation, way.collection);
      await sendOne(mutation, way, signal);
    } catch (error) {
      if (isTooLargeFault(error) && mutation.rows > 1) await sendPieces(mutation, 2, first, way, signal);
      else if (way.refused === undefined || !isContentRefusal(error)) throw error;
      else await sendWhatFits(mutation, first, way, error, signal);
    }
  }

  async function sendPieces(
    mutation: Mutation,
    pieces: number,
    first: number,
    way: Way,
    signal: AbortSignal,
  ): Promise<void> {
    for (let piece = 0; piece < pieces; piece++) {
      const start = Math.floor(mutation.rows * piece / pieces);
      const end = Math.floor(mutation.rows * (piece + 1) / pieces);
      if (start === end) continue;
      const columns = selectRows(mutation.columns, mutation.rows, { start, end });
      await send({ ...mutation, rows: end - start, columns }, first + start, way, signal);
    }
  }

  async function sendWhatFits(
    mutation: Mutation,
    first: number,
    way: Way,
    error: TidemarkError,
    signal: AbortSignal,
  ): Promise<void> {
    const { columns, rows, target } = mutation;
    // The limits may have been changed since they were described.
    describer.forget(target);
    const { limits } = await describer.describe(target, signal);
    const refused = await isolateRows({
      rows,
      unfit: () => unfitRows(columns, rows, limits),
      send: (part) =>
        sendOne({ ...mutation, rows: part.length, columns: selectRows(columns, rows, part) }, way, signal),
    }, error);
    way.refused!(refused.map(({ row, reason }) => ({ row: first + row, reason })));
  }

  async function sendOne(mutation: Mutation, way: Way, signal: AbortSignal): Promise<void> {
    const body = spliceMutation({ ...mutation, columns: withStructs(mutation.columns, way.collection.structs) });
    const { target, rows } = mutation;
    const verb = way.mode === "replace" ? "upsert" : way.mode;
    const request = {
      what: `${verb} ${rows} ${plural(rows, "row")} into ${targetText(target)}`,
      db: target.db,
      signal,
    };
    let { mode } = way;
    const result = await client.patience.persist(async (_tried, last) => {
      if (last?.code === "unreachable") {
        // The rows may have arrived although the answer did not. Once the server answers again, what it took of the
        // lost request has its timestamps, and an upsert replaces it: an insert would leave every row twice.
        mode = way.again;
        await client.call(METHOD.getVersion, {}, { ...request, patient: false });
      }
      if (mode === "upsert") return await client.send(METHOD.upsert, body, request);
      if (mode === "replace") await removeOld(mutation, way, signal);
      return await client.send(METHOD.insert, body, request);
    }, signal);
    checkResult(result, request.what, rows);
  }

  async function removeOld({ target, rows, columns }: Mutation, way: Way, signal: AbortSignal): Promise<void> {
    const { collectionId, collection: { primaryKey, primaryKeyType } } = way;
    // By its name: the target numbers its fields by itself.
    const keys = keysOf(columns, { fieldID: -1n, name: primaryKey, dataType: primaryKeyType }, rows);
    await remover({ collectionId, target, partition: undefined, keys }, signal);
    passed("between_delete_and_insert");
  }

  return write;
}

/** Throws as the target would for what its schema excludes. */
function refuseUnfit({ columns, rows, target }: Mutation, { limits }: DescribedCollection): void {
  const unfit = unfitRows(columns, rows, limits);
  if (unfit.length === 0) return;
  const words = unfitText(unfit[0]!);
  throw new TidemarkError(
    "refused",
    `The target would refuse ${unfit.length} ${plural(unfit.length, "row")} for ${targetText(target)}: ${words}`,
    {
      cause: new ServerAnswer("status", 0, 0, words),
    },
  );
}

function wayOf({ collectionId, mode }: WriteRequest, collection: DescribedCollection, features: Features): Way {
  // Keys that the target makes itself cannot be upserted.
  if (collection.autoId) return { collectionId, collection, mode: "insert", again: "insert" };
  const again = collection.hasPartitionKey && !features.upsertsByPartitionKey ? "replace" : "upsert";
  return { collectionId, collection, mode: mode === "insert" ? "insert" : again, again };
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
      const outer = nestedName(head.name)?.outer;
      if (outer !== undefined && collection.fields.has(head.name)) sent.add(outer);
      else throw refused(where, `the column ${head.name}`);
    }
    sent.add(head.name);
    const field = head.isDynamic ? undefined : collection.fields.get(head.name);
    // An older release knows no flags.
    kept.push(clientForm(head, request.rows, fillsDefaults ? field : field && { ...field, hasDefault: false }));
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
