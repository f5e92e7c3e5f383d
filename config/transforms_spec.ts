/** Configuration of what lies between sources and sinks: selection, routing, DDL policy, users and roles. */
import { z } from "zod";
import type { DdlKind } from "../pipeline/model/mod.ts";

/** Every kind that `ddl.include` and `ddl.exclude` may name; the compiler refuses it where one is missing. */
const KINDS: { readonly [Kind in DdlKind]: true } = {
  create_database: true,
  drop_database: true,
  alter_database: true,
  create_collection: true,
  drop_collection: true,
  rename_collection: true,
  alter_collection: true,
  truncate_collection: true,
  create_partition: true,
  drop_partition: true,
  create_index: true,
  drop_index: true,
  alter_index: true,
  create_alias: true,
  drop_alias: true,
  alter_alias: true,
  load: true,
  release: true,
  flush: true,
  rbac: true,
};

export const DDL_KINDS = Object.keys(KINDS) as [DdlKind, ...DdlKind[]];

export const DDL_POLICIES = ["exception", "evolve", "try_evolve", "lenient", "ignore"] as const;

const pattern = z.string().min(1);

const select = z.strictObject({
  include: z.array(pattern).min(1).default(["*.*"]).describe(
    "Patterns database.collection of what is copied; * stands for any characters, ? for one",
  ),
  exclude: z.array(pattern).default([]).describe("Patterns of what is left out although it is included"),
  allow_empty: z.boolean().default(false).describe(
    "Begin though nothing is selected, and take what comes; otherwise that is an error, since a mistyped pattern would be a complete copy of nothing",
  ),
});

const route = z.strictObject({
  from: pattern.describe("Pattern database.collection on the source"),
  to: pattern.describe("Name on the target; each * takes what the * of the same place in `from` matched"),
});

const ddl = z.strictObject({
  policy: z.enum(DDL_POLICIES).default("evolve").describe(
    "What happens with a change of structure: exception blocks its collection; evolve applies it, one that the target refuses blocks; " +
      "try_evolve reports the refusal and goes on; lenient is try_evolve without drops and truncates; ignore applies none",
  ),
  include: z.array(z.enum(DDL_KINDS)).optional().describe("Only these kinds are applied; all where left out"),
  exclude: z.array(z.enum(DDL_KINDS)).default([]).describe("Kinds that are never applied"),
});

export const BAD_ROWS = ["hold", "dead_letter", "widen"] as const;

export const UNSUPPORTED = ["hold", "drop_column", "fill"] as const;

const fillValues = z.strictObject({
  bool: z.boolean().default(false).describe("In fields of type Bool"),
  integer: z.int().default(0).describe("In Int8 to Int64 and, as microseconds, in Timestamptz"),
  float: z.number().default(0).describe("In Float and Double"),
  text: z.string().default("").describe("In VarChar and Text"),
  json: z.string().default("{}").refine(isJson, "expected JSON").describe("In JSON, as text"),
});

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

export const transformsSpec = z.strictObject({
  select: select.prefault({}).describe("Which collections are copied"),
  route: z.array(route).default([]).describe("New names on the target; the first rule that matches is taken"),
  ddl: ddl.prefault({}).describe("How changes of structure are carried over"),
  bad_rows: z.enum(BAD_ROWS).default("hold").describe(
    "What becomes of a row that the target refuses for what it holds, while all others go on: hold remembers it and tries it again at each start; " +
      "dead_letter puts it aside in a Parquet file, for `tidemark replay`; " +
      "widen makes the target's collections with all the room for texts and arrays that Milvus has (2.5 and later: gives it to existing ones, too), and holds what is refused all the same",
  ),
  dead_letters: z.string().min(1).optional().describe(
    "Folder of the Parquet files of bad_rows: dead_letter. Left out: <pipeline>.dead_letters beside the state, where that is a folder",
  ),
  unsupported: z.enum(UNSUPPORTED).default("hold").describe(
    "What becomes of a column that a target does not take as it is (nulls, types, functions, arrays of structs that its release does not know): hold its collection; " +
      "drop_column leaves the column out; fill writes fill_values for nulls and leaves out what no value helps. What was agreed stays as long as the copy lives",
  ),
  fill_values: fillValues.prefault({}).describe(
    "With unsupported: fill, what stands for a null; a field's own default comes first, arrays are empty, vectors zero",
  ),
  aliases: z.enum(["keep_foreign", "take", "none"]).default("keep_foreign").describe(
    "What happens with an alias of the target that belongs to a collection which the run did not make: keep_foreign leaves it there and says so; " +
      "take moves it; none carries no aliases at all",
  ),
  rbac: z.boolean().default(false).describe("Carry users, roles, grants and privilege groups"),
});

export type TransformsConfig = z.output<typeof transformsSpec>;
