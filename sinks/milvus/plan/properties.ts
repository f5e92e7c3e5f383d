/** Properties and definition of a collection. A value that somebody set on the target stays. */
import type { OwnedCollection, Properties } from "../../../pipeline/model/mod.ts";
import { ConsistencyLevel } from "../../../pipeline/proto/gen/common_pb.ts";
import type { ActualCollection } from "../actual.ts";
import { targetText } from "../described.ts";
import type { Features } from "../features.ts";
import type { Action } from "./action.ts";
import { loadAgain, RELEASE_ALL } from "./load.ts";
import { type AddStep, foreignThing, pairsText } from "./step.ts";

/** Set by the server for itself, or meaningful on one cluster only. */
const FOREIGN_PROPERTY = /^(?:replicate\.|cipher\.|timezone$|collection\.(?:description|consistency|on\.truncating)$)/;
/** Only a collection that is not loaded takes these. */
const NEEDS_RELEASE: ReadonlySet<string> = new Set(["mmap.enabled"]);

/** Without those that belong to one cluster. */
export function ownProperties(properties: Properties): Properties {
  return Object.fromEntries(Object.entries(properties).filter(([key]) => !FOREIGN_PROPERTY.test(key)));
}

export function planProperties(
  { source, target, whose }: OwnedCollection,
  actual: ActualCollection,
  features: Features,
  add: AddStep,
  want: Properties,
): void {
  const where = targetText(target);
  const have = ownProperties(actual.properties);
  const mine = whose.made({ kind: "collection" });
  const thing = (key: string, value: string) => ({ kind: "property", key, value }) as const;
  const ownerOf = (key: string) => {
    if (!mine) return "foreign";
    return have[key] === undefined ? "nobody" : whose.made(thing(key, have[key])) ? "run" : "foreign";
  };
  const said = (key: string) => have[key] === undefined ? `${where} has no ${key}` : `${where} has ${key}=${have[key]}`;

  const set: Record<string, string> = {};
  for (const [key, value] of Object.entries(want)) {
    if (have[key] === value) {
      if (!whose.made(thing(key, value))) whose.adopt?.(thing(key, value));
      continue;
    }
    const foreign = foreignThing("set_property", ownerOf(key), said(key));
    if (foreign === undefined) set[key] = value;
    else add("alter_collection", `Set ${key}=${value} on ${where}`, alter({ [key]: value }, []), { foreign });
  }
  if (Object.keys(set).length > 0) {
    const release = actual.load !== undefined && !features.lite &&
      Object.keys(set).some((key) => NEEDS_RELEASE.has(key));
    const action = alter(set, []);
    add(
      "alter_collection",
      `Set ${pairsText(set)} on ${where}${release ? " (released for it and loaded again)" : ""}`,
      release ? { do: "sequence", actions: [RELEASE_ALL, action, loadAgain(actual)] } : action,
      {
        makes: Object.entries(set).map(([key, value]) => thing(key, value)),
        ends: Object.keys(set).flatMap((key) => have[key] === undefined ? [] : [thing(key, have[key])]),
      },
    );
  }

  const remove: string[] = [];
  for (const key of Object.keys(have).filter((key) => !(key in want))) {
    const foreign = foreignThing("remove_property", ownerOf(key), said(key));
    if (foreign === undefined) remove.push(key);
    else add("alter_collection", `Remove ${key} from ${where}`, alter({}, [key]), { foreign });
  }
  if (remove.length > 0) {
    add(
      "alter_collection",
      `Remove ${remove.join(", ")} from ${where}`,
      features.deletesProperties
        ? alter({}, remove)
        : { do: "impossible", reason: `Milvus ${features.version} on the target cannot remove a property` },
      { ends: remove.map((key) => thing(key, have[key]!)) },
    );
  }
  planDefinition({ source, target, whose }, actual, features, add);
}

function planDefinition(
  { source, target, whose }: OwnedCollection,
  actual: ActualCollection,
  features: Features,
  add: AddStep,
): void {
  const where = targetText(target);
  const owner = whose.made({ kind: "collection" }) ? "run" : "foreign";
  if (features.describesDefinition && source.consistency !== actual.consistency) {
    const level = ConsistencyLevel[source.consistency] ?? String(source.consistency);
    const is = ConsistencyLevel[actual.consistency] ?? String(actual.consistency);
    add(
      "alter_collection",
      `Set consistency level ${level} on ${where}`,
      features.altersDefinition ? alter({ consistency_level: level }, []) : {
        do: "impossible",
        reason: `Milvus ${features.version} on the target cannot change the consistency level`,
      },
      { foreign: foreignThing("alter_definition", owner, `${where} has the consistency level ${is}`) },
    );
  }
  if (features.altersDefinition && source.schema.description !== actual.schema.description) {
    const text = source.schema.description;
    add("alter_collection", `Set the description of ${where}`, alter({ "collection.description": text }, []), {
      foreign: foreignThing("alter_definition", owner, `${where} has another description`),
    });
  }
}

function alter(set: Properties, remove: readonly string[]): Action {
  return { do: "alter_collection", set, remove };
}
