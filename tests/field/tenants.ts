/** Collections whose rows are divided by a partition key, and what a user's query by that key finds. */
import assert from "node:assert/strict";
import { FLAT_INDEX } from "../integration/pipeline/servers.ts";
import type { PyMilvus } from "../stack/pymilvus.ts";

export type Tenant = number | string;

export interface TenantRow {
  readonly id: number;
  readonly tenant: Tenant;
  readonly vec: readonly number[];
}

/** Arguments of `create_collection`: int64 or varchar partition key `tenant`, indexed and loaded. */
export function byTenant(
  name: string,
  key: "Int64" | "VarChar",
  partitions: number,
  more: Record<string, unknown> = {},
): Record<string, unknown> {
  const tenant = key === "Int64" ? { name: "tenant", type: key } : { name: "tenant", type: key, max_length: 32 };
  return {
    name,
    fields: [
      { name: "id", type: "Int64", primary: true },
      { ...tenant, partition_key: true },
      { name: "vec", type: "FloatVector", dim: 4 },
    ],
    num_partitions: partitions,
    indexes: FLAT_INDEX,
    load: true,
    ...more,
  };
}

/** Rows number `from` to `to - 1`; `version` changes their content. */
export function rowsOf(from: number, to: number, tenantOf: (id: number) => Tenant, version = 0): TenantRow[] {
  return Array.from({ length: to - from }, (_, i) => {
    const id = from + i;
    return { id, tenant: tenantOf(id), vec: [id, version, id % 7, 1] };
  });
}

/** The ids that `tenant == …` finds, one query a tenant. */
export async function found(
  server: PyMilvus,
  name: string,
  tenants: readonly Tenant[],
): Promise<Map<Tenant, number[]>> {
  const values = [...new Set(tenants)];
  const ids = await server.call("found_by", { name, field: "tenant", values }) as number[][];
  return new Map(values.map((tenant, i) => [tenant, ids[i]!]));
}

/** Asserts that every tenant's query finds exactly these rows. */
export async function assertFound(server: PyMilvus, name: string, rows: readonly TenantRow[]): Promise<void> {
  const wanted = new Map<Tenant, number[]>();
  for (const { id, tenant } of rows) wanted.set(tenant, [...wanted.get(tenant) ?? [], id]);
  for (const ids of wanted.values()) ids.sort((a, b) => a - b);
  const there = await found(server, name, [...wanted.keys()]);
  const lacking = [...wanted].filter(([tenant, ids]) => there.get(tenant)!.length < ids.length).length;
  assert.deepEqual(there, wanted, `${lacking} of ${wanted.size} tenants do not find their rows in ${name}`);
}
