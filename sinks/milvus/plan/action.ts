/** What the steps of a plan do on the target. */
import type { Index, Properties, TargetName } from "../../../pipeline/model/mod.ts";
import type { ConsistencyLevel } from "../../../pipeline/proto/gen/common_pb.ts";
import type { CollectionSchema, FieldSchema } from "../../../pipeline/proto/gen/schema_pb.ts";

/** What a step does. Names of fields are the target's. */
export type Action =
  | {
    readonly do: "create_collection";
    readonly schema: CollectionSchema;
    readonly shards: number;
    readonly consistency: ConsistencyLevel;
    readonly properties: Properties;
    /** 0: not a partition-key collection. */
    readonly partitionCount: number;
  }
  | { readonly do: "rename"; readonly from: TargetName }
  | { readonly do: "add_field"; readonly field: FieldSchema }
  | { readonly do: "alter_field"; readonly field: string; readonly set: Properties }
  | {
    readonly do: "alter_collection";
    readonly set: Properties;
    readonly remove: readonly string[];
  }
  | { readonly do: "create_partition"; readonly partition: string }
  | { readonly do: "create_index"; readonly index: Index }
  | { readonly do: "drop_index"; readonly name: string; readonly fieldName: string }
  | { readonly do: "alter_index"; readonly name: string; readonly set: Properties; readonly remove: readonly string[] }
  | { readonly do: "create_alias" | "alter_alias" | "drop_alias"; readonly alias: string }
  /** No names: the whole collection. */
  | {
    readonly do: "load";
    readonly partitions: readonly string[];
    readonly replicas: number;
    /** Empty: the target's default one. */
    readonly resourceGroups?: readonly string[];
  }
  | { readonly do: "release"; readonly partitions: readonly string[]; readonly replicas: number }
  /** Several actions of one step, in order; the first failure ends it. */
  | { readonly do: "sequence"; readonly actions: readonly Action[] }
  /** The first of them that the target does not refuse. */
  | { readonly do: "first_of"; readonly actions: readonly Action[] }
  /** Where `action` fails, `back` is done, and it has failed all the same. */
  | { readonly do: "with_way_back"; readonly action: Action; readonly back: Action }
  /** The target has no way to do it: its outcome is `refused` with this reason. */
  | { readonly do: "impossible"; readonly reason: string };
