/** Which indexes to make, replace, alter and drop. */
import type { Index, Properties } from "../../../pipeline/model/mod.ts";
import { type Json, parseJson } from "../../../pipeline/json.ts";
import type { ActualIndex } from "../actual.ts";
import type { Features } from "../features.ts";

export type IndexChange =
  | { readonly kind: "create"; readonly index: Index }
  | { readonly kind: "drop"; readonly index: ActualIndex }
  /** Drop and create: nothing smaller leads there. */
  | { readonly kind: "replace"; readonly index: Index; readonly old: ActualIndex }
  | {
    readonly kind: "alter";
    readonly index: Index;
    readonly old: ActualIndex;
    readonly name: string;
    readonly set: Properties;
    readonly remove: readonly string[];
  };

/** Parameters that AlterIndex takes. */
const ALTERABLE: ReadonlySet<string> = new Set(["mmap.enabled", "indexoffsetcache.enabled", "warmup"]);

/**
 * Parameters in one form: the JSON text under `params` spread over the top level, values as text, the type in capitals.
 * `{index_type: "hnsw", params: '{"M": 8}'}` and `{index_type: "HNSW", M: "8"}` come out equal.
 */
export function normalisedParams(params: Properties): Map<string, string> {
  const flat = new Map<string, string>();
  for (const [key, value] of Object.entries(params)) {
    if (key === "params" && spread(value, flat)) continue;
    flat.set(key, key === "index_type" || key === "metric_type" ? value.toUpperCase() : value);
  }
  return flat;
}

function spread(text: string, into: Map<string, string>): boolean {
  let parsed: Json;
  try {
    parsed = parseJson(text);
  } catch {
    return false;
  }
  if (parsed === null || typeof parsed !== "object" || Array.isArray(parsed)) return false;
  for (const [key, value] of Object.entries(parsed)) into.set(key, typeof value === "string" ? value : String(value));
  return true;
}

/** Keys whose values differ; undefined where the indexes are of another kind altogether. */
function differingKeys(wanted: Index, actual: ActualIndex, features: Features): readonly string[] | undefined {
  if (wanted.fieldName !== actual.fieldName) return undefined;
  const want = normalisedParams(wanted.params);
  const have = normalisedParams(actual.params);
  const type = want.get("index_type") ?? "";
  const metric = want.get("metric_type");
  const haveMetric = have.get("metric_type");
  if (metric !== undefined && haveMetric !== undefined && metric !== haveMetric) return undefined;
  // Where the server chose the type and its parameters, it may choose (and tell) something else on another release.
  if (wanted.isAuto || type === "" || type === "AUTOINDEX") return [];
  if (type !== (have.get("index_type") ?? "")) return undefined;
  if (features.lite) return [];
  return [...new Set([...want.keys(), ...have.keys()])].filter((key) => want.get(key) !== have.get(key));
}

/** In the order in which they must be done: drops first, since a field holds one index and a name is used once. */
export function indexChanges(
  wanted: readonly Index[],
  actual: readonly ActualIndex[],
  features: Features,
): IndexChange[] {
  const drops: IndexChange[] = [];
  const others: IndexChange[] = [];
  const used = new Set<ActualIndex>();
  for (const index of wanted) {
    const found = actual.find((one) =>
      features.namesIndexes ? one.name === index.name : one.fieldName === index.fieldName
    );
    if (found === undefined) {
      others.push({ kind: "create", index });
      continue;
    }
    used.add(found);
    const keys = differingKeys(index, found, features);
    if (keys !== undefined && keys.length === 0) continue;
    if (keys !== undefined && features.altersIndexes && keys.every((key) => ALTERABLE.has(key))) {
      const want = normalisedParams(index.params);
      const set = Object.fromEntries(keys.flatMap((key) => want.has(key) ? [[key, want.get(key)!]] : []));
      others.push({
        kind: "alter",
        index,
        old: found,
        name: found.name,
        set,
        remove: keys.filter((key) => !want.has(key)),
      });
    } else {
      others.push({ kind: "replace", index, old: found });
    }
  }
  for (const one of actual) if (!used.has(one)) drops.push({ kind: "drop", index: one });
  return [...drops, ...others];
}

/** Whether one cannot be made beside the other: a field has one index, or one for each path of its JSON. */
export function sharesField(wanted: Index, actual: ActualIndex): boolean {
  const path = (params: Properties) => normalisedParams(params).get("json_path");
  return wanted.fieldName === actual.fieldName && path(wanted.params) === path(actual.params);
}

/** "HNSW, L2" */
export function indexText(params: Properties): string {
  const flat = normalisedParams(params);
  return [flat.get("index_type") ?? "default type", flat.get("metric_type")].filter(Boolean).join(", ");
}
