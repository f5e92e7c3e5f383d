/** What the source's log says of changes to a collection's structure. */
import type { ConsistencyLevel } from "../proto/gen/common_pb.ts";
import type { CollectionSchema } from "../proto/gen/schema_pb.ts";
import type { Properties } from "./catalog.ts";
import type { HybridTs } from "./hybrid.ts";

/** What a collection became by one change: of what it did not change nothing is said. */
export interface Alteration {
  readonly name?: string;
  readonly database?: { readonly id: bigint; readonly name: string };
  /** All of it. */
  readonly schema?: CollectionSchema;
  /** All of them. */
  readonly properties?: Properties;
  readonly consistency?: ConsistencyLevel;
}

/** Each vchannel of the collection has a record of it, each with a time of its own. */
export interface LoggedAlteration {
  readonly collectionId: bigint;
  readonly ts: HybridTs;
  readonly alteration: Alteration;
}
