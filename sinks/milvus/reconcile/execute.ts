/** Carries out planned steps one after the other, asking the gate before each. */
import { create, toBinary } from "@bufbuild/protobuf";
import { assertNever, TidemarkError, toTidemarkError } from "../../../pipeline/errors.ts";
import {
  BESIDE_ROWS,
  type DdlGate,
  type DdlOutcome,
  type DdlStep,
  type Properties,
  type TargetName,
  type Thing,
} from "../../../pipeline/model/mod.ts";
import { KeyValuePairSchema } from "../../../pipeline/proto/gen/common_pb.ts";
import { CollectionSchemaSchema, FieldSchemaSchema } from "../../../pipeline/proto/gen/schema_pb.ts";
import { unless } from "../actual.ts";
import { METHOD, type MilvusClient, type Request } from "../client.ts";
import { isPassing, serverWords } from "../fault.ts";
import type { Action, PlannedStep } from "../plan/collection.ts";

export function pairs(properties: Properties) {
  return Object.entries(properties).map(([key, value]) => create(KeyValuePairSchema, { key, value }));
}

/** A step with what it does. */
export interface RunnableStep {
  readonly step: DdlStep;
  /** Resolves with what it made, where that is known better by then than from the step. */
  readonly run: () => Promise<readonly Thing[] | void>;
  /** A failure of it makes the steps after it pointless. */
  readonly essential: boolean;
}

/**
 * Runs steps in order. What the server refuses becomes an outcome `refused` with its words; what can be mended by
 * waiting or by the user's login (`unreachable`, `authentication` as a whole, `aborted`) is thrown.
 */
export async function runSteps(steps: readonly RunnableStep[], gate: DdlGate): Promise<DdlOutcome[]> {
  const outcomes: DdlOutcome[] = [];
  let lost: string | undefined;
  for (const { step, run, essential } of steps) {
    if (lost !== undefined) {
      outcomes.push({ ...step, result: "skipped", detail: `Not tried, since this failed before: ${lost}` });
      continue;
    }
    if (step.foreign?.fate === "left" || step.foreign?.fate === "held") {
      const { fate, words } = step.foreign;
      outcomes.push({ ...step, result: fate === "held" ? "refused" : "skipped", detail: words });
      if (essential) lost = step.sentence;
      continue;
    }
    if (await gate(step) === "skip") {
      outcomes.push({ ...step, result: "skipped", detail: "Left out by the DDL policy" });
      if (essential) lost = step.sentence;
      continue;
    }
    try {
      const made = await run();
      outcomes.push({ ...step, ...(made ? { makes: made } : {}), result: "applied", detail: "" });
    } catch (thrown) {
      const error = toTidemarkError(thrown);
      if (error.code === "aborted" || error.code === "unexpected") throw error;
      const passing = isPassing(error) ? { passing: true } : {};
      outcomes.push({ ...step, result: "refused", detail: serverWords(error), ...passing });
      if (essential) lost = step.sentence;
    }
  }
  return outcomes;
}

/** The plain step, without what belongs to the plan. */
export function plainStep(
  step: DdlStep & { readonly action?: { readonly do: string; readonly reason?: string } },
): DdlStep {
  const { action } = step;
  const { kind, collectionId, sentence, destructive, partition, disturbs, makes, ends, foreign, doubts } = step;
  return {
    kind,
    collectionId,
    sentence,
    destructive,
    ...(partition === undefined ? {} : { partition }),
    ...(disturbs === undefined ? {} : { disturbs }),
    ...(makes === undefined ? {} : { makes }),
    ...(ends === undefined ? {} : { ends }),
    ...(foreign === undefined ? {} : { foreign }),
    ...(doubts === undefined ? {} : { doubts }),
    ...(action?.do === "impossible" && foreign === undefined ? { impossible: action.reason ?? "" } : {}),
  };
}

/** Without the collection itself nothing else can be done. */
export function isEssential(step: PlannedStep): boolean {
  return step.kind === "create_collection" || step.kind === "rename_collection";
}

export interface ExecuteOptions {
  readonly client: MilvusClient;
  readonly target: TargetName;
  readonly step: DdlStep;
  readonly signal: AbortSignal;
}

/** Does one action. Doing it twice, after an answer was lost, is no error. */
export async function execute(action: Action, options: ExecuteOptions): Promise<void> {
  const { client, target, step, signal } = options;
  const about = { dbName: target.db, collectionName: target.name };
  const what = step.sentence.charAt(0).toLowerCase() + step.sentence.slice(1);
  // What rows do not need is not waited for here, but tried again beside them.
  const beside = BESIDE_ROWS.has(step.kind);
  const request: Request = { what, db: target.db, signal, patient: !beside };
  switch (action.do) {
    case "create_collection":
      await client.call(METHOD.createCollection, {
        ...about,
        schema: toBinary(CollectionSchemaSchema, action.schema),
        shardsNum: action.shards,
        consistencyLevel: action.consistency,
        properties: pairs(action.properties),
        numPartitions: BigInt(action.partitionCount),
      }, request);
      return;
    case "rename":
      await client.call(METHOD.renameCollection, {
        dbName: action.from.db,
        oldName: action.from.name,
        newName: target.name,
        newDBName: action.from.db === target.db ? "" : target.db,
      }, { ...request, db: action.from.db });
      return;
    case "add_field":
      await client.call(
        METHOD.addCollectionField,
        { ...about, schema: toBinary(FieldSchemaSchema, action.field) },
        request,
      );
      return;
    case "alter_field":
      await client.call(
        METHOD.alterCollectionField,
        { ...about, fieldName: action.field, properties: pairs(action.set) },
        request,
      );
      return;
    case "alter_collection":
      await client.call(
        METHOD.alterCollection,
        { ...about, properties: pairs(action.set), deleteKeys: [...action.remove] },
        request,
      );
      return;
    case "create_partition":
      await client.call(METHOD.createPartition, { ...about, partitionName: action.partition }, request);
      return;
    case "create_index":
      await client.call(METHOD.createIndex, {
        ...about,
        fieldName: action.index.fieldName,
        indexName: action.index.name,
        extraParams: pairs(action.index.params),
      }, request);
      return;
    case "drop_index":
      await client.call(METHOD.dropIndex, { ...about, fieldName: action.fieldName, indexName: action.name }, request);
      return;
    case "alter_index":
      await client.call(METHOD.alterIndex, {
        ...about,
        indexName: action.name,
        extraParams: pairs(action.set),
        deleteKeys: [...action.remove],
      }, request);
      return;
    case "create_alias":
      await client.call(METHOD.createAlias, { ...about, alias: action.alias }, request);
      return;
    case "alter_alias":
      await client.call(METHOD.alterAlias, { ...about, alias: action.alias }, request);
      return;
    case "drop_alias":
      await client.call(METHOD.dropAlias, { dbName: target.db, alias: action.alias }, request);
      return;
    case "load": {
      const { replicas, resourceGroups = [] } = action;
      const load = { ...about, replicaNumber: replicas, resourceGroups: [...resourceGroups] };
      if (action.partitions.length === 0) await client.call(METHOD.loadCollection, load, request);
      else await client.call(METHOD.loadPartitions, { ...load, partitionNames: [...action.partitions] }, request);
      return;
    }
    case "release":
      if (action.partitions.length === 0) await client.call(METHOD.releaseCollection, about, request);
      else await client.call(METHOD.releasePartitions, { ...about, partitionNames: [...action.partitions] }, request);
      return;
    case "sequence":
      for (const one of action.actions) {
        const done = execute(one, options);
        // The next look at the collection finds it not loaded.
        await (one.do === "load" && !beside ? unless(["refused", "unreachable", "throttled"], done) : done);
      }
      return;
    case "first_of": {
      let first: unknown;
      for (const one of action.actions) {
        try {
          return await execute(one, options);
        } catch (thrown) {
          first ??= thrown;
          if (toTidemarkError(thrown).code !== "refused") break;
        }
      }
      throw first;
    }
    case "with_way_back":
      try {
        return await execute(action.action, options);
      } catch (thrown) {
        if (toTidemarkError(thrown).code !== "aborted") await execute(action.back, options);
        throw thrown;
      }
    case "impossible":
      throw new TidemarkError("refused", action.reason);
    default:
      assertNever(action);
  }
}
