/**
 * What a target knows, from its version. Most gaps show by themselves (UNIMPLEMENTED, a refusal in words); the ones here
 * do not: older servers take the request and drop, or store unusable, the part that they do not know.
 */
import { DataType } from "../../pipeline/proto/gen/schema_pb.ts";

export interface Features {
  /** As the server gives it. */
  readonly version: string;
  readonly lite: boolean;
  /** Scalar columns with nulls. */
  readonly nullable: boolean;
  /** Vector columns with nulls: 3.0, and brought to 2.6 late; 2.6.19 is the first that was seen with them. */
  readonly nullableVectors: boolean;
  readonly functions: boolean;
  readonly structArrays: boolean;
  /** More than one vector field in a collection. */
  readonly severalVectors: boolean;
  /** The server fills a missing column from the default. 2.3 ends with a panic of the whole process instead. */
  readonly fillsDefaults: boolean;
  /** AlterCollection honours `delete_keys`. */
  readonly deletesProperties: boolean;
  /** AlterCollection changes consistency level and description. */
  readonly altersDefinition: boolean;
  readonly altersFields: boolean;
  readonly addsFields: boolean;
  readonly altersIndexes: boolean;
  /** Indexes of scalar fields can be dropped while the collection is loaded. */
  readonly dropsScalarIndexLoaded: boolean;
  /** LoadCollection with another replica number changes a loaded collection. */
  readonly changesReplicasLoaded: boolean;
  /** An index keeps the name it was given; milvus-lite names it after the field. */
  readonly namesIndexes: boolean;
  /** Consistency level, shard count and description come back from DescribeCollection as they were given. */
  readonly describesDefinition: boolean;
  /**
   * Its bulk import of a backup's files is known to be exact. Before 2.3.4 it dropped every row of a key that a delta file
   * names, also newer ones; from 2.4 on it is another import, not looked at here.
   */
  readonly importsBackups: boolean;
  /**
   * Upsert puts a row of a partition-key collection into the partition in which a query by that key looks for it. The first
   * releases that have Upsert choose it by another field, so that `key == x` finds the row only by chance. Mended in February
   * 2024 (milvus-io/milvus pull requests 30772 and 30773), thus in every 2.4; which 2.3 has it first is not told, and none is
   * trusted here: the other way is right with each.
   */
  readonly upsertsByPartitionKey: boolean;
  /** By default: its configuration may say otherwise, and nothing in its API tells. */
  readonly limits: Limits;
  knowsType(type: DataType): boolean;
}

/** Of one collection. */
export interface Limits {
  readonly shards: number;
  readonly partitions: number;
  readonly fields: number;
  readonly vectorFields: number;
  readonly dimension: number;
  /** Characters of a name. */
  readonly nameLength: number;
  /** The largest max_length of a VarChar, in bytes. */
  readonly textLength: number;
}

/** First release (major * 100 + minor) that can store a type. */
const TYPE_SINCE: ReadonlyMap<DataType, number> = new Map([
  [DataType.JSON, 202],
  [DataType.Array, 203],
  [DataType.Float16Vector, 204],
  [DataType.BFloat16Vector, 204],
  [DataType.SparseFloatVector, 204],
  [DataType.Int8Vector, 206],
  [DataType.Geometry, 206],
  [DataType.Timestamptz, 206],
  [DataType.ArrayOfVector, 206],
  [DataType.ArrayOfStruct, 206],
  [DataType.Struct, 206],
  [DataType.Text, 206],
  [DataType.Mol, 300],
]);

/** `version` as GetVersion gives it: `v2.3.5-lite` (the wheel's server), `2.6.6`, `milvus_lite-3.2.2`, `master-2026…`. */
export function featuresOf(version: string): Features {
  const lite = version.startsWith("milvus_lite");
  const match = /(\d+)\.(\d+)(?:\.(\d+))?/.exec(version);
  // A build without a number is a development build, thus newer than everything here.
  const release = lite || match === null ? Infinity : Number(match[1]) * 100 + Number(match[2]);
  const patch = Number(match?.[3] ?? 0);
  return {
    version,
    lite,
    nullable: release >= 205,
    nullableVectors: !lite && (release >= 300 || release === 206 && patch >= 19),
    functions: release >= 205,
    structArrays: release >= 206,
    severalVectors: release >= 204,
    fillsDefaults: release >= 205,
    deletesProperties: release >= 205,
    altersDefinition: !lite && release >= 206,
    altersFields: !lite && release >= 205,
    addsFields: !lite && release >= 206,
    altersIndexes: !lite && release >= 204,
    dropsScalarIndexLoaded: !lite && release >= 205,
    changesReplicasLoaded: !lite && release >= 205,
    namesIndexes: !lite,
    describesDefinition: !lite,
    importsBackups: !lite && release === 203 && patch >= 5,
    upsertsByPartitionKey: release >= 204,
    limits: limitsOf(release, patch),
    knowsType: (type) => release >= (TYPE_SINCE.get(type) ?? 0),
  };
}

/** Defaults of pkg/util/paramtable. Partitions went from 4096 to 1024 with 2.4.5, vector fields from one to several with 2.4. */
function limitsOf(release: number, patch: number): Limits {
  const fewer = release >= 205 || release === 204 && patch >= 5;
  return {
    shards: 16,
    partitions: fewer ? 1024 : 4096,
    fields: 64,
    vectorFields: 4,
    dimension: 32_768,
    nameLength: 255,
    textLength: 65_535,
  };
}
