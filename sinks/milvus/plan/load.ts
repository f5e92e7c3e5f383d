/** What of a collection is loaded on the target, by the source and by what the configuration says. */
import { type LoadMode, partitionKey, type WantedCollection } from "../../../pipeline/model/mod.ts";
import type { ActualCollection } from "../actual.ts";
import { targetText } from "../described.ts";
import type { Features } from "../features.ts";
import type { Action } from "./action.ts";
import { groupsOf, type ResourceGroups } from "./resource_groups.ts";

export interface LoadOptions {
  readonly features: Features;
  readonly load: LoadMode;
  /** Undefined: as many as the source has. */
  readonly replicas: number | undefined;
  readonly resourceGroups: ResourceGroups | undefined;
}

export interface LoadStep {
  readonly kind: "load" | "release";
  readonly sentence: string;
  readonly action: Action;
  /** Queries fail while it is tried. */
  readonly disturbs?: true;
  /** A release after which nothing of it is loaded. */
  readonly ends?: true;
}

export const RELEASE_ALL: Action = { do: "release", partitions: [], replicas: 0 };

/** Loads what was loaded. */
export function loadAgain(actual: ActualCollection): Action {
  return { do: "load", partitions: actual.load?.partitions ?? [], replicas: Math.max(1, actual.load?.replicas ?? 1) };
}

/** `actual`: undefined where it is made by this plan; `released`: a step before releases it. */
export function loadSteps(
  { source, target }: WantedCollection,
  actual: ActualCollection | undefined,
  released: boolean,
  options: LoadOptions,
): LoadStep[] {
  const { features, load: mode } = options;
  if (mode === "never") return [];
  const where = targetText(target);
  const have = released ? undefined : actual?.load;
  const want = source.load;
  if (want === undefined) {
    return have === undefined
      ? []
      : [{ kind: "release", sentence: `Release ${where}`, action: RELEASE_ALL, ends: true }];
  }
  const replicas = options.replicas ?? Math.max(1, want.replicas);
  const resourceGroups = groupsOf(want.resourceGroups, options.resourceGroups);
  const all = source.partitions.map((one) => one.name);
  const named = source.partitions.filter((one) => want.partitionIds.includes(one.id)).map((one) => one.name);
  // Partitions of a loaded collection can be released one by one. Before 2.2.3 none is named of a collection.
  const whole = want.scope === "collection" && (named.length === 0 || named.length === all.length);
  const names = whole ? all : named;
  const loading = (partitions: readonly string[]): Action => {
    const groups = resourceGroups.length === 0 ? {} : { resourceGroups };
    const action: Action = { do: "load", partitions, replicas, ...groups };
    if (mode === "source" || (replicas === 1 && resourceGroups.length === 0)) return action;
    return { do: "first_of", actions: [action, { do: "load", partitions, replicas: 1 }] };
  };
  if (have === undefined) {
    if (!whole && names.length === 0) return [];
    const what = whole ? where : `${partitionsText(names)} of ${where}`;
    const replicaText = replicas > 1 ? ` with ${replicas} replicas` : "";
    const groupText = resourceGroups.length === 0 ? "" : ` in ${resourceGroups.join(", ")}`;
    return [{ kind: "load", sentence: `Load ${what}${replicaText}${groupText}`, action: loading(whole ? [] : names) }];
  }
  // What could be loaded is not released again for more.
  if (mode === "source" && have.replicas !== 0 && have.replicas !== replicas) {
    const load = loading(whole ? [] : names);
    const sentence = `Load ${where} with ${replicas} instead of ${have.replicas} replicas`;
    if (features.changesReplicasLoaded) return [{ kind: "load", sentence, action: load }];
    // Refused, it is loaded as it was: queries are worth more than a number.
    const actions: Action[] = [RELEASE_ALL, { do: "with_way_back", action: load, back: loadAgain(actual!) }];
    const note = " (released for it and loaded again)";
    return [{ kind: "load", sentence: sentence + note, action: { do: "sequence", actions }, disturbs: true }];
  }
  if (partitionKey(source.schema) !== undefined || features.lite) return [];
  const missing = names.filter((name) => !have.partitions.includes(name));
  const extra = have.partitions.filter((name) => !names.includes(name) && all.includes(name));
  // Partitions that this plan creates are loaded with the collection by themselves.
  const old = missing.filter((name) => actual?.partitions.includes(name));
  const steps: LoadStep[] = [];
  if (whole ? old.length > 0 : missing.length > 0) {
    const what = whole ? where : `${partitionsText(missing)} of ${where}`;
    steps.push({ kind: "load", sentence: `Load ${what}`, action: loading(whole ? [] : missing) });
  }
  if (!whole && extra.length > 0) {
    const action: Action = { do: "release", partitions: extra, replicas };
    const sentence = `Release ${partitionsText(extra)} of ${where}`;
    steps.push({ kind: "release", sentence, action, ...(names.length === 0 ? { ends: true } : {}) });
  }
  return steps;
}

function partitionsText(names: readonly string[]): string {
  return names.length === 1 ? `partition ${names[0]}` : `partitions ${names.join(", ")}`;
}
