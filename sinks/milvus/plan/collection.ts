/** From what is wanted and what the target has to the steps between: pure, no server is asked here. */
import { type AliasOwner, type DdlKind, type LoadMode, type OwnedCollection } from "../../../pipeline/model/mod.ts";
import { partitionKey, type Properties, type TargetName } from "../../../pipeline/model/mod.ts";
import type { CollectionSchema } from "../../../pipeline/proto/gen/schema_pb.ts";
import type { Actual, ActualCollection, ActualIndex } from "../actual.ts";
import { isVectorType, targetText } from "../described.ts";
import type { Features } from "../features.ts";
import { planAliases } from "./aliases.ts";
import { indexChanges, indexText, sharesField } from "./indexes.ts";
import { loadAgain, loadSteps, RELEASE_ALL } from "./load.ts";
import { ownProperties, planProperties } from "./properties.ts";
import { type ResourceGroups, withOwnGroups } from "./resource_groups.ts";
import { unknownToTarget } from "./gaps.ts";
import { beyondLimits } from "./limits.ts";
import { type AutoIdPolicy, schemaDifferences, schemaToCreate, widened } from "./schema.ts";
import type { Action } from "./action.ts";
import { foreignThing, pairsText, type PlannedStep, type StepDetails } from "./step.ts";
import { plural } from "../../../pipeline/units/mod.ts";

export type { Action } from "./action.ts";
export type { PlannedStep } from "./step.ts";

export interface PlanOptions {
  readonly parts: "structure" | "all";
  readonly autoId: AutoIdPolicy;
  readonly features: Features;
  /** Replicas to load with; undefined: as many as the source has. */
  readonly replicas: number | undefined;
  /** Default `source`. */
  readonly load?: LoadMode;
  /** Of the target: one for all, or by the source's names; left out for the target's default one. */
  readonly resourceGroups?: ResourceGroups | undefined;
  /** Give texts and arrays all the room that there is: at creation, and later where the release alters fields. */
  readonly widen?: boolean;
  /** Of collections that are made. Default: as many as the source's has. */
  readonly shards?: number | undefined;
}

export interface ActualState {
  /** What is there under the wanted name. */
  readonly current: Actual;
  /** The name that the collection had so far, and what is there; undefined where it was not renamed. */
  readonly previous: { readonly name: TargetName; readonly actual: Actual } | undefined;
  /** Which other collections have an alias that is wanted here. */
  readonly aliasOwners: ReadonlyMap<string, AliasOwner>;
}

/**
 * The steps that make the target's collection what is wanted, in the order in which they must be done. Nothing that
 * drops a collection or a partition is ever among them. What the run did not make is touched by none of them, but for what
 * the configuration allows; steps that it is in the way of say so (`foreign`).
 */
export function planCollection(wanted: OwnedCollection, state: ActualState, options: PlanOptions): PlannedStep[] {
  const plan = new Plan(wanted, options);
  let actual: ActualCollection | undefined;
  if (state.current.kind === "collection") {
    actual = state.current.collection;
  } else {
    if (state.current.kind === "alias" && !plan.freeName(state.current.of)) return plan.steps;
    if (state.previous?.actual.kind === "collection") {
      actual = state.previous.actual.collection;
      if (!plan.rename(state.previous.name)) return plan.steps;
    }
  }
  if (actual === undefined) plan.createCollection();
  else plan.alterCollection(actual);
  plan.partitions(actual);
  if (options.parts === "all") {
    planAliases(wanted, actual, state.aliasOwners, plan.add);
    const released = plan.indexes(actual);
    plan.load(actual, released);
  }
  return plan.steps;
}

class Plan {
  readonly steps: PlannedStep[] = [];
  readonly #wanted: OwnedCollection;
  readonly #options: PlanOptions;
  readonly #where: string;
  readonly #schema: CollectionSchema;
  /** What a new collection is made with. */
  readonly #roomy: CollectionSchema;
  readonly #hasPartitionKey: boolean;

  constructor(wanted: OwnedCollection, options: PlanOptions) {
    this.#wanted = wanted;
    this.#options = options;
    this.#where = targetText(wanted.target);
    this.#schema = schemaToCreate(wanted.source, wanted.target.name, options.autoId);
    this.#roomy = options.widen === true ? widened(this.#schema) : this.#schema;
    this.#hasPartitionKey = partitionKey(wanted.source.schema) !== undefined;
  }

  readonly add = (kind: DdlKind, sentence: string, action: Action, details: StepDetails = {}): void => {
    const { makes, ends, foreign, doubts = [] } = details;
    this.steps.push({
      kind,
      collectionId: this.#wanted.source.id,
      sentence,
      destructive: false,
      action,
      ...(action.do === "create_partition" ? { partition: action.partition } : {}),
      ...(makes === undefined ? {} : { makes }),
      ...(ends === undefined ? {} : { ends }),
      ...(foreign === undefined ? {} : { foreign }),
      ...(doubts.length === 0 ? {} : { doubts }),
    });
  };

  /** Whether the collection can have its name, which is an alias of another one now. */
  freeName(owner: AliasOwner): boolean {
    const { target: { db, name }, whose } = this.#wanted;
    const sentence = `Drop alias ${name} of ${db}.${owner.name}, a collection takes its name`;
    const whoseIs = whose.aliasOf(name, owner);
    const what = `${db}.${name} is an alias of ${db}.${owner.name}`;
    const consents = whose.aliases === "take" ? ["aliases: take"] as const : [];
    const foreign = typeof whoseIs === "object"
      ? { fate: "held", words: whoseIs.clash } as const
      : foreignThing("take_alias_name", whoseIs, what, consents);
    if (foreign?.fate === "held") {
      const taken = `Create collection ${this.#where}`;
      this.add("create_collection", taken, { do: "impossible", reason: foreign.words }, { foreign });
      return false;
    }
    this.add("drop_alias", sentence, { do: "drop_alias", alias: name }, { foreign });
    return true;
  }

  /** Whether it gets the name: a collection that the run did not make keeps its own. */
  rename(from: TargetName): boolean {
    const { whose } = this.#wanted;
    const owner = whose.made({ kind: "collection" }) ? "run" : "foreign";
    const foreign = foreignThing("rename_collection", owner, `${targetText(from)} was there before`);
    this.add("rename_collection", `Rename collection ${targetText(from)} to ${this.#where}`, { do: "rename", from }, {
      foreign,
    });
    return foreign === undefined;
  }

  createCollection(): void {
    const { source, target } = this.#wanted;
    const unknown = unknownToTarget(this.#schema, this.#options.features);
    const shards = this.#options.shards ?? source.shards;
    const sentence = `Create collection ${this.#where} (${this.#schema.fields.length} ${
      plural(this.#schema.fields.length, "field")
    }, ${shards} ${plural(shards, "shard")})`;
    if (unknown.length > 0) {
      const reason = `Milvus ${this.#options.features.version} on the target does not know ${unknown.join(", ")}`;
      this.add("create_collection", sentence, { do: "impossible", reason });
      return;
    }
    const properties = this.#ownProperties(source.properties);
    this.add("create_collection", sentence, {
      do: "create_collection",
      schema: this.#roomy,
      shards,
      consistency: source.consistency,
      properties,
      partitionCount: this.#hasPartitionKey ? source.partitions.length : 0,
    }, {
      makes: Object.entries(properties).map(([key, value]) => ({ kind: "property", key, value })),
      doubts: beyondLimits({ source, name: target.name, shards, schema: this.#roomy }, this.#options.features),
    });
  }

  alterCollection(actual: ActualCollection): void {
    const { features } = this.#options;
    const { whose } = this.#wanted;
    const owner = whose.made({ kind: "collection" }) ? "run" : "foreign";
    const consents = whose.merge ? ["on_existing: merge"] as const : [];
    const foreign = foreignThing("alter_schema", owner, `${this.#where} was there before`, consents);
    for (
      const difference of schemaDifferences(features.altersFields ? this.#roomy : this.#schema, actual.schema, features)
    ) {
      switch (difference.kind) {
        case "add_field":
          this.add("alter_collection", `Add field ${difference.field.name} to ${this.#where}`, {
            do: "add_field",
            field: difference.field,
          }, { foreign });
          break;
        case "alter_field":
          this.add(
            "alter_collection",
            `Set ${pairsText(difference.set)} on field ${difference.field} of ${this.#where}`,
            {
              do: "alter_field",
              field: difference.field,
              set: difference.set,
            },
            { foreign },
          );
          break;
        case "impossible":
          this.add("alter_collection", `Change the schema of ${this.#where}`, {
            do: "impossible",
            reason: `On the target ${difference.what}`,
          });
          break;
      }
    }
    if (this.#hasPartitionKey && actual.partitions.length !== this.#wanted.source.partitions.length && !features.lite) {
      this.add("alter_collection", `Change the number of partitions of ${this.#where}`, {
        do: "impossible",
        reason: `On the target it has ${actual.partitions.length} hash partitions, the source has ` +
          `${this.#wanted.source.partitions.length}; the number is fixed at creation`,
      });
    }
    planProperties(this.#wanted, actual, features, this.add, this.#ownProperties(this.#wanted.source.properties));
  }

  partitions(actual: ActualCollection | undefined): void {
    if (this.#hasPartitionKey) return;
    const { source, whose } = this.#wanted;
    const there = new Set(actual?.partitions ?? ["_default"]);
    const consents = whose.merge ? ["on_existing: merge"] as const : [];
    for (const { name } of source.partitions) {
      const thing = { kind: "partition", name } as const;
      const create: Action = { do: "create_partition", partition: name };
      const sentence = `Create partition ${name} of ${this.#where}`;
      if (!there.has(name)) {
        this.add("create_partition", sentence, create, { makes: [thing] });
        continue;
      }
      // Every collection has it from its beginning.
      if (name === "_default" || whose.made(thing)) continue;
      if (whose.adopt !== undefined) {
        whose.adopt(thing);
        continue;
      }
      const what = `${this.#where} has a partition ${name}`;
      const foreign = foreignThing("create_partition", "foreign", what, consents);
      if (foreign !== undefined) this.add("create_partition", sentence, create, { foreign });
    }
  }

  #ownProperties(properties: Properties): Properties {
    return withOwnGroups(ownProperties(properties), this.#options.resourceGroups);
  }

  /** True if a step releases the collection. */
  indexes(actual: ActualCollection | undefined): boolean {
    const { source, whose } = this.#wanted;
    const { features } = this.#options;
    const thingOf = ({ name, id }: ActualIndex) => ({ kind: "index", name, id }) as const;
    const left: ActualIndex[] = [];
    /** Of what the run did not make nothing is released or dropped. */
    const foreignIndex = (change: "drop_index" | "replace_index" | "alter_index", index: ActualIndex) => {
      const owner = whose.made(thingOf(index)) ? "run" : "foreign";
      const what = `${this.#where}.${index.fieldName} has the index ${index.name} (${indexText(index.params)})`;
      const foreign = foreignThing(change, owner, what);
      if (foreign !== undefined) left.push(index);
      return foreign;
    };
    for (const index of actual?.indexes ?? []) {
      const wanted = source.indexes.some(({ name }) => name === index.name);
      if (wanted && !whose.made(thingOf(index)) && whose.adopt !== undefined) whose.adopt(thingOf(index));
    }
    let loaded = actual?.load !== undefined;
    const wasLoaded = loaded;
    const fields = new Map([...(actual?.schema.fields ?? []), ...this.#schema.fields].map((one) => [one.name, one]));
    const withRelease = (fieldName: string, actions: Action[]): { action: Action; note: string } => {
      const field = fields.get(fieldName);
      const scalar = field !== undefined && !isVectorType(field.dataType);
      if (loaded && !(scalar && features.dropsScalarIndexLoaded)) {
        loaded = false;
        return {
          action: { do: "sequence", actions: [RELEASE_ALL, ...actions] },
          note: " (the collection is released for it)",
        };
      }
      return { action: actions.length === 1 ? actions[0]! : { do: "sequence", actions }, note: "" };
    };
    for (const change of indexChanges(source.indexes, actual?.indexes ?? [], features)) {
      switch (change.kind) {
        case "create": {
          const { index } = change;
          const sentence = `Create index ${index.name} (${
            indexText(index.params)
          }) on ${this.#where}.${index.fieldName}`;
          const other = left.find((there) => sharesField(index, there));
          const foreign = other === undefined ? undefined : foreignThing(
            "create_index",
            "foreign",
            `${this.#where}.${index.fieldName} has the index ${other.name} (${indexText(other.params)})`,
          );
          this.add("create_index", sentence, { do: "create_index", index }, {
            makes: [{ kind: "index", name: index.name, id: "" }],
            foreign,
          });
          break;
        }
        case "drop": {
          const { name, fieldName } = change.index;
          const drop: Action = { do: "drop_index", name, fieldName };
          const foreign = foreignIndex("drop_index", change.index);
          const { action, note } = foreign === undefined ? withRelease(fieldName, [drop]) : { action: drop, note: "" };
          this.add("drop_index", `Drop index ${name} on ${this.#where}.${fieldName}${note}`, action, {
            ends: [thingOf(change.index)],
            foreign,
          });
          break;
        }
        case "replace": {
          const { index, old } = change;
          const foreign = foreignIndex("replace_index", old);
          const drop: Action = { do: "drop_index", name: old.name, fieldName: old.fieldName };
          const { action, note } = foreign === undefined
            ? withRelease(old.fieldName, [drop, { do: "create_index", index }])
            : { action: drop, note: "" };
          const sentence = `Replace index ${index.name} (${indexText(old.params)}) by (${indexText(index.params)}) ` +
            `on ${this.#where}.${index.fieldName}${note}`;
          this.add("alter_index", sentence, action, {
            ends: [thingOf(old)],
            makes: [{ kind: "index", name: index.name, id: "" }],
            foreign,
          });
          break;
        }
        case "alter": {
          const { index, old, name, set, remove } = change;
          const foreign = foreignIndex("alter_index", old);
          const alter: Action = { do: "alter_index", name, set, remove };
          const { action, note } = foreign === undefined
            ? withRelease(index.fieldName, [alter])
            : { action: alter, note: "" };
          const words = [pairsText(set), ...remove.map((key) => `no ${key}`)].filter(Boolean).join(", ");
          this.add("alter_index", `Set ${words} on index ${name} of ${this.#where}${note}`, action, { foreign });
          break;
        }
      }
    }
    return wasLoaded && !loaded;
  }

  load(actual: ActualCollection | undefined, released: boolean): void {
    const { features, load = "source", replicas, resourceGroups } = this.#options;
    const options = { features, load, replicas, resourceGroups };
    const { source, whose } = this.#wanted;
    const things = [{ kind: "load" }] as const;
    const said = `${this.#where} is loaded`;
    if (actual?.load !== undefined && source.load !== undefined && !whose.made(things[0])) whose.adopt?.(things[0]);
    const owner = whose.made(things[0]) ? "run" : "foreign";
    const mine = whose.made({ kind: "collection" }) ? "run" : "foreign";
    const consents = whose.merge ? ["on_existing: merge"] as const : [];
    const steps = loadSteps(this.#wanted, actual, released, options);
    for (const { kind, sentence, action, disturbs, ends } of steps) {
      if (kind === "release") {
        const foreign = foreignThing("release", owner, said);
        this.add(kind, sentence, action, { ...(ends === true ? { ends: things } : {}), foreign });
      } else if (actual?.load !== undefined && !released && sentence.includes(" instead of ")) {
        this.add(kind, sentence, action, { foreign: foreignThing("change_replicas", owner, said) });
      } else {
        const foreign = foreignThing("load", mine, `${this.#where} was there before`, consents);
        this.add(kind, sentence, action, { makes: things, foreign });
      }
      if (disturbs) this.steps.push({ ...this.steps.pop()!, disturbs });
    }
    if (released && steps.length === 0 && actual !== undefined && owner === "foreign") {
      this.add("load", `Load ${this.#where} again, as somebody had`, loadAgain(actual));
    }
  }
}
