/** Brings one collection of the target to what is wanted. */
import type {
  AliasOwner,
  DdlGate,
  DdlOutcome,
  LoadMode,
  OwnedCollection,
  TargetName,
  Thing,
  WantedCollection,
} from "../../../pipeline/model/mod.ts";
import { TidemarkError, toTidemarkError } from "../../../pipeline/errors.ts";
import { readActual, readAliasOwner } from "../actual.ts";
import type { MilvusClient } from "../client.ts";
import { targetText } from "../described.ts";
import { execute, isEssential, plainStep, type RunnableStep, runSteps } from "./execute.ts";
import type { Features } from "../features.ts";
import { type ActualState, planCollection, type PlannedStep } from "../plan/collection.ts";
import type { ResourceGroups } from "../plan/resource_groups.ts";
import type { AutoIdPolicy } from "../plan/schema.ts";

export interface ReconcileOptions {
  readonly client: MilvusClient;
  readonly features: (signal: AbortSignal) => Promise<Features>;
  readonly autoId: AutoIdPolicy;
  readonly replicas: number | undefined;
  readonly load: LoadMode;
  readonly resourceGroups: ResourceGroups | undefined;
  readonly widen: boolean;
  readonly shards: number | undefined;
}

export interface CollectionReconciler {
  plan(
    wanted: OwnedCollection,
    previous: TargetName | undefined,
    parts: "structure" | "all",
    signal: AbortSignal,
  ): Promise<PlannedStep[]>;
  reconcile(
    wanted: OwnedCollection,
    previous: TargetName | undefined,
    parts: "structure" | "all",
    gate: DdlGate,
    signal: AbortSignal,
  ): Promise<DdlOutcome[]>;
}

export function createCollectionReconciler(options: ReconcileOptions): CollectionReconciler {
  const { client } = options;

  async function plan(
    wanted: OwnedCollection,
    previous: TargetName | undefined,
    parts: "structure" | "all",
    signal: AbortSignal,
  ): Promise<PlannedStep[]> {
    const features = await options.features(signal);
    const current = await readActual(client, wanted.target, signal);
    const renamed = previous !== undefined && targetText(previous) !== targetText(wanted.target) &&
      current.kind !== "collection";
    const state: ActualState = {
      current,
      previous: renamed ? { name: previous, actual: await readActual(client, previous, signal) } : undefined,
      aliasOwners: parts === "all" && wanted.whose.aliases !== "none" ? await aliasOwners(wanted, signal) : new Map(),
    };
    const { autoId, replicas, load, resourceGroups, widen, shards } = options;
    return planCollection(wanted, state, { parts, autoId, features, replicas, load, resourceGroups, widen, shards });
  }

  async function aliasOwners(wanted: WantedCollection, signal: AbortSignal): Promise<Map<string, AliasOwner>> {
    const owners = new Map<string, AliasOwner>();
    for (const alias of wanted.source.aliases) {
      const owner = await readAliasOwner(client, { db: wanted.target.db, name: alias }, signal);
      if (owner !== undefined && owner.name !== wanted.target.name) owners.set(alias, owner);
    }
    return owners;
  }

  async function run(step: PlannedStep, target: TargetName, signal: AbortSignal): Promise<readonly Thing[] | void> {
    try {
      await execute(step.action, { client, target, step, signal });
    } catch (thrown) {
      // When the answer to a rename or a creation was lost, the repeated request is refused because it had been done.
      const error = toTidemarkError(thrown);
      if (error.code !== "refused" && error.code !== "not_found") throw error;
      if (step.action.do === "rename") {
        const [now, before] = [
          await readActual(client, target, signal),
          await readActual(client, step.action.from, signal),
        ];
        if (now.kind === "collection" && before.kind === "missing") return;
      }
      throw error;
    }
    if (step.makes?.some(({ kind }) => kind === "index")) return await numbered(step.makes, target, signal);
    if (step.action.do !== "create_collection") return;
    // What a server does not know it drops without a word: look at what became of the request.
    const made = await readActual(client, target, signal);
    if (made.kind !== "collection") return;
    const lost = lostParts(step.action.schema, made.collection.schema);
    if (lost.length > 0) {
      throw new TidemarkError("refused", `The target created it without ${lost.join(", ")}`);
    }
  }

  /** Indexes with the numbers that the target gave them. */
  async function numbered(things: readonly Thing[], target: TargetName, signal: AbortSignal): Promise<Thing[]> {
    const actual = await readActual(client, target, signal);
    const indexes = actual.kind === "collection" ? actual.collection.indexes : [];
    return things.map((thing) =>
      thing.kind === "index" ? { ...thing, id: indexes.find(({ name }) => name === thing.name)?.id ?? "" } : thing
    );
  }

  async function reconcile(
    wanted: OwnedCollection,
    previous: TargetName | undefined,
    parts: "structure" | "all",
    gate: DdlGate,
    signal: AbortSignal,
  ): Promise<DdlOutcome[]> {
    const steps = await plan(wanted, previous, parts, signal);
    const runnable: RunnableStep[] = steps.map((step) => ({
      step: plainStep(step),
      essential: isEssential(step),
      run: () => run(step, wanted.target, signal),
    }));
    return await runSteps(runnable, gate);
  }

  return { plan, reconcile };
}

interface Parts {
  readonly fields: readonly { readonly name: string; readonly nullable: boolean; readonly isDynamic: boolean }[];
  readonly functions: readonly { readonly name: string }[];
  readonly structArrayFields: readonly { readonly name: string }[];
}

/** What was asked for and is not in the description of what came out. */
function lostParts(asked: Parts, made: Parts): string[] {
  const lost: string[] = [];
  const fields = new Map(made.fields.map((one) => [one.name, one]));
  for (const field of asked.fields) {
    const found = fields.get(field.name);
    if (found === undefined) lost.push(`field ${field.name}`);
    else if (field.nullable && !found.nullable) lost.push(`null values in field ${field.name}`);
  }
  const functions = new Set(made.functions.map((one) => one.name));
  for (const one of asked.functions) if (!functions.has(one.name)) lost.push(`function ${one.name}`);
  const structs = new Set(made.structArrayFields.map((one) => one.name));
  for (const one of asked.structArrayFields) if (!structs.has(one.name)) lost.push(`struct array ${one.name}`);
  return lost;
}
