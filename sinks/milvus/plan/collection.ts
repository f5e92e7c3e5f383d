/** From what is wanted and what the target has to the steps between: pure, no server is asked here. */
import type {
  DdlKind,
  DdlStep,
  LoadMode,
  Properties,
  TargetName,
  WantedCollection,
} from "../../../pipeline/model/mod.ts";
import { partitionKey } from "../../../pipeline/model/mod.ts";
import { ConsistencyLevel } from "../../../pipeline/proto/gen/common_pb.ts";
import type { CollectionSchema } from "../../../pipeline/proto/gen/schema_pb.ts";
import type { Actual, ActualCollection } from "../actual.ts";
import { isVectorType, targetText } from "../described.ts";
import type { Features } from "../features.ts";
import { indexChanges, indexText } from "./indexes.ts";
import type { Action } from "./action.ts";
import { loadAgain, loadSteps, RELEASE_ALL } from "./load.ts";
import { type ResourceGroups, withOwnGroups } from "./resource_groups.ts";
import { type AutoIdPolicy, schemaDifferences, schemaToCreate, unknownToTarget, widened } from "./schema.ts";

export type { Action } from "./action.ts";

export interface PlannedStep extends DdlStep {
  readonly action: Action;
}

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
}

export interface ActualState {
  /** What is there under the wanted name. */
  readonly current: Actual;
  /** The name that the collection had so far, and what is there; undefined where it was not renamed. */
  readonly previous: { readonly name: TargetName; readonly actual: Actual } | undefined;
  /** Collections that own an alias which is wanted here but is not one of this collection: alias -> collection. */
  readonly foreignAliases: ReadonlyMap<string, string>;
}

/**
 * The steps that make the target's collection what is wanted, in the order in which they must be done. Nothing that
 * drops a collection or a partition is ever among them.
 */
export function planCollection(wanted: WantedCollection, state: ActualState, options: PlanOptions): PlannedStep[] {
  const plan = new Plan(wanted, options);
  let actual: ActualCollection | undefined;
  if (state.current.kind === "collection") {
    actual = state.current.collection;
  } else {
    if (state.current.kind === "alias") plan.freeName(state.current.of);
    if (state.previous?.actual.kind === "collection") {
      actual = state.previous.actual.collection;
      plan.rename(state.previous.name);
    }
  }
  if (actual === undefined) plan.createCollection();
  else plan.alterCollection(actual);
  plan.partitions(actual);
  if (options.parts === "all") {
    plan.aliases(actual, state.foreignAliases);
    const released = plan.indexes(actual);
    plan.load(actual, released);
  }
  return plan.steps;
}

/** Set by the server for itself, or meaningful on one cluster only. */
const FOREIGN_PROPERTY = /^(?:replicate\.|cipher\.|timezone$|collection\.(?:description|consistency)$)/;
/** Only a collection that is not loaded takes these. */
const NEEDS_RELEASE: ReadonlySet<string> = new Set(["mmap.enabled"]);

class Plan {
  readonly steps: PlannedStep[] = [];
  readonly #wanted: WantedCollection;
  readonly #options: PlanOptions;
  readonly #where: string;
  readonly #schema: CollectionSchema;
  /** What a new collection is made with. */
  readonly #roomy: CollectionSchema;
  readonly #hasPartitionKey: boolean;

  constructor(wanted: WantedCollection, options: PlanOptions) {
    this.#wanted = wanted;
    this.#options = options;
    this.#where = targetText(wanted.target);
    this.#schema = schemaToCreate(wanted.source, wanted.target.name, options.autoId);
    this.#roomy = options.widen === true ? widened(this.#schema) : this.#schema;
    this.#hasPartitionKey = partitionKey(wanted.source.schema) !== undefined;
  }

  #add(kind: DdlKind, sentence: string, action: Action, destructive = false): void {
    const step = { kind, collectionId: this.#wanted.source.id, sentence, destructive, action };
    this.steps.push(action.do === "create_partition" ? { ...step, partition: action.partition } : step);
  }

  freeName(owner: string): void {
    const { db, name } = this.#wanted.target;
    this.#add("drop_alias", `Drop alias ${name} of ${db}.${owner}, a collection takes its name`, {
      do: "drop_alias",
      alias: name,
    });
  }

  rename(from: TargetName): void {
    this.#add("rename_collection", `Rename collection ${targetText(from)} to ${this.#where}`, { do: "rename", from });
  }

  createCollection(): void {
    const { source } = this.#wanted;
    const unknown = unknownToTarget(this.#schema, this.#options.features);
    const sentence = `Create collection ${this.#where} (${this.#schema.fields.length} fields, ${source.shards} shards)`;
    if (unknown.length > 0) {
      const reason = `Milvus ${this.#options.features.version} on the target does not know ${unknown.join(", ")}`;
      this.#add("create_collection", sentence, { do: "impossible", reason });
      return;
    }
    this.#add("create_collection", sentence, {
      do: "create_collection",
      schema: this.#roomy,
      shards: source.shards,
      consistency: source.consistency,
      properties: this.#ownProperties(source.properties),
      partitionCount: this.#hasPartitionKey ? source.partitions.length : 0,
    });
  }

  alterCollection(actual: ActualCollection): void {
    const { features } = this.#options;
    for (
      const difference of schemaDifferences(features.altersFields ? this.#roomy : this.#schema, actual.schema, features)
    ) {
      switch (difference.kind) {
        case "add_field":
          this.#add("alter_collection", `Add field ${difference.field.name} to ${this.#where}`, {
            do: "add_field",
            field: difference.field,
          });
          break;
        case "alter_field":
          this.#add(
            "alter_collection",
            `Set ${pairsText(difference.set)} on field ${difference.field} of ${this.#where}`,
            {
              do: "alter_field",
              field: difference.field,
              set: difference.set,
            },
          );
          break;
        case "impossible":
          this.#add("alter_collection", `Change the schema of ${this.#where}`, {
            do: "impossible",
            reason: `On the target ${difference.what}`,
          });
          break;
      }
    }
    if (this.#hasPartitionKey && actual.partitions.length !== this.#wanted.source.partitions.length && !features.lite) {
      this.#add("alter_collection", `Change the number of partitions of ${this.#where}`, {
        do: "impossible",
        reason: `On the target it has ${actual.partitions.length} hash partitions, the source has ` +
          `${this.#wanted.source.partitions.length}; the number is fixed at creation`,
      });
    }
    this.#properties(actual);
  }

  #properties(actual: ActualCollection): void {
    const { source } = this.#wanted;
    const { features } = this.#options;
    const want: Record<string, string> = { ...this.#ownProperties(source.properties) };
    const have = ownProperties(actual.properties);
    const set: Record<string, string> = {};
    for (const [key, value] of Object.entries(want)) if (have[key] !== value) set[key] = value;
    const remove = Object.keys(have).filter((key) => !(key in want));
    const loaded = actual.load !== undefined;
    if (Object.keys(set).length > 0) {
      const release = loaded && !features.lite && Object.keys(set).some((key) => NEEDS_RELEASE.has(key));
      const alter: Action = { do: "alter_collection", set, remove: [] };
      this.#add(
        "alter_collection",
        `Set ${pairsText(set)} on ${this.#where}${release ? " (released for it and loaded again)" : ""}`,
        release ? { do: "sequence", actions: [RELEASE_ALL, alter, loadAgain(actual)] } : alter,
      );
    }
    if (remove.length > 0) {
      this.#add(
        "alter_collection",
        `Remove ${remove.join(", ")} from ${this.#where}`,
        features.deletesProperties
          ? { do: "alter_collection", set: {}, remove }
          : { do: "impossible", reason: `Milvus ${features.version} on the target cannot remove a property` },
      );
    }
    if (features.describesDefinition && source.consistency !== actual.consistency) {
      const level = ConsistencyLevel[source.consistency] ?? String(source.consistency);
      this.#add(
        "alter_collection",
        `Set consistency level ${level} on ${this.#where}`,
        features.altersDefinition ? { do: "alter_collection", set: { consistency_level: level }, remove: [] } : {
          do: "impossible",
          reason: `Milvus ${features.version} on the target cannot change the consistency level`,
        },
      );
    }
    if (features.altersDefinition && source.schema.description !== actual.schema.description) {
      this.#add("alter_collection", `Set the description of ${this.#where}`, {
        do: "alter_collection",
        set: { "collection.description": source.schema.description },
        remove: [],
      });
    }
  }

  partitions(actual: ActualCollection | undefined): void {
    if (this.#hasPartitionKey) return;
    const there = new Set(actual?.partitions ?? ["_default"]);
    for (const { name } of this.#wanted.source.partitions) {
      if (there.has(name)) continue;
      this.#add("create_partition", `Create partition ${name} of ${this.#where}`, {
        do: "create_partition",
        partition: name,
      });
    }
  }

  aliases(actual: ActualCollection | undefined, foreign: ReadonlyMap<string, string>): void {
    const { source, target } = this.#wanted;
    const there = new Set(actual?.aliases ?? []);
    for (const alias of there) {
      if (source.aliases.includes(alias)) continue;
      this.#add("drop_alias", `Drop alias ${target.db}.${alias} of ${this.#where}`, { do: "drop_alias", alias });
    }
    for (const alias of source.aliases) {
      if (there.has(alias)) continue;
      const owner = foreign.get(alias);
      if (owner === undefined) {
        this.#add("create_alias", `Create alias ${target.db}.${alias} for ${this.#where}`, {
          do: "create_alias",
          alias,
        });
      } else {
        const sentence = `Alter alias ${target.db}.${alias} from ${target.db}.${owner} to ${this.#where}`;
        this.#add("alter_alias", sentence, { do: "alter_alias", alias });
      }
    }
  }

  #ownProperties(properties: Properties): Properties {
    return withOwnGroups(ownProperties(properties), this.#options.resourceGroups);
  }

  /** True if a step releases the collection. */
  indexes(actual: ActualCollection | undefined): boolean {
    const { source } = this.#wanted;
    const { features } = this.#options;
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
          this.#add("create_index", sentence, { do: "create_index", index });
          break;
        }
        case "drop": {
          const { name, fieldName } = change.index;
          const { action, note } = withRelease(fieldName, [{ do: "drop_index", name, fieldName }]);
          this.#add("drop_index", `Drop index ${name} on ${this.#where}.${fieldName}${note}`, action);
          break;
        }
        case "replace": {
          const { index, old } = change;
          const { action, note } = withRelease(old.fieldName, [
            { do: "drop_index", name: old.name, fieldName: old.fieldName },
            { do: "create_index", index },
          ]);
          const sentence = `Replace index ${index.name} (${indexText(old.params)}) by (${indexText(index.params)}) ` +
            `on ${this.#where}.${index.fieldName}${note}`;
          this.#add("alter_index", sentence, action);
          break;
        }
        case "alter": {
          const { index, name, set, remove } = change;
          const { action, note } = withRelease(index.fieldName, [{ do: "alter_index", name, set, remove }]);
          const words = [pairsText(set), ...remove.map((key) => `no ${key}`)].filter(Boolean).join(", ");
          this.#add("alter_index", `Set ${words} on index ${name} of ${this.#where}${note}`, action);
          break;
        }
      }
    }
    return wasLoaded && !loaded;
  }

  load(actual: ActualCollection | undefined, released: boolean): void {
    const { features, load = "source", replicas, resourceGroups } = this.#options;
    const options = { features, load, replicas, resourceGroups };
    for (const step of loadSteps(this.#wanted, actual, released, options)) {
      const { kind, sentence, action, disturbs } = step;
      this.#add(kind, sentence, action);
      if (disturbs) this.steps.push({ ...this.steps.pop()!, disturbs });
    }
  }
}

function ownProperties(properties: Properties): Properties {
  return Object.fromEntries(Object.entries(properties).filter(([key]) => !FOREIGN_PROPERTY.test(key)));
}

function pairsText(pairs: Properties): string {
  return Object.entries(pairs).map(([key, value]) => `${key}=${value}`).join(", ");
}
