/** Both sides as their users see them: definitions and every row, read by another client than ours. */
import assert from "node:assert/strict";
import { eventually } from "../../stack/eventually.ts";
import type { PyMilvus } from "../../stack/pymilvus.ts";

export interface Side {
  readonly server: PyMilvus;
  readonly db?: string;
  readonly name: string;
}

type Described = Record<string, unknown> & { load: string; partitions: Record<string, string> };

/** What a copy cannot or need not keep is taken out before the comparison. */
function comparable(described: Described): unknown {
  const { auto_id: _auto, fields, properties: _properties, ...rest } = described as Described & {
    fields: Record<string, unknown>[];
  };
  return {
    ...rest,
    properties: described.properties,
    // A target is made with autoID off, so that keys are kept.
    fields: fields.map(({ autoID: _, field_id: __, ...field }) => field),
  };
}

/** Asserts equal schema, partitions, indexes, aliases, properties, load state and, where loaded, every row. */
export async function assertSame(source: Side, target: Side): Promise<void> {
  const { load } = await assertSameDefinition(source, target);
  if (load === "Loaded") await assertSameRows(source, target);
}

/** Asserts the same without the rows. */
export async function assertSameDefinition(source: Side, target: Side): Promise<{ readonly load: string }> {
  const a = await describe(source);
  // Loading goes on behind the request for it.
  await eventually(`${target.name} is loaded as its source is`, async () => {
    const { load, partitions } = await describe(target);
    return load !== "Loading" && Object.values(partitions).every((state) => state !== "Loading");
  });
  const b = await describe(target);
  assert.deepEqual(comparable(b), comparable(a));
  return a;
}

export async function assertSameRows(source: Side, target: Side): Promise<void> {
  const [a, b] = await Promise.all([digest(source), digest(target)]);
  if (JSON.stringify(a) === JSON.stringify(b)) return;
  assert.deepEqual(await differing(source, target), [], `rows of ${target.name} differ from those of ${source.name}`);
  assert.deepEqual(b, a);
}

/** The first rows that are not the same, for the message of a failing test. */
async function differing(source: Side, target: Side): Promise<unknown[]> {
  const [a, b] = await Promise.all([rows(source), rows(target)]);
  const found: unknown[] = [];
  for (const key of new Set([...a.keys(), ...b.keys()])) {
    if (a.get(key) === b.get(key)) continue;
    found.push({ key, source: a.get(key) ?? "absent", target: b.get(key) ?? "absent" });
    if (found.length === 10) break;
  }
  return found;
}

async function rows({ server, db, name }: Side): Promise<Map<string, string>> {
  const all = await server.call("query_all", { name, db: db ?? "" }) as Record<string, unknown>[];
  const described = await describe({ server, db, name });
  const key =
    (described.fields as { name: string; is_primary_key?: boolean }[]).find((field) => field.is_primary_key)!.name;
  // Servers answer with the columns in any order.
  const text = (value: unknown) =>
    JSON.stringify(value, (_k, item) => {
      if (typeof item === "bigint") return `${item}n`;
      const plain = item !== null && typeof item === "object" && !Array.isArray(item);
      return plain ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => a < b ? -1 : 1)) : item;
    });
  return new Map(all.map((row) => [`${text(row["$partition"] ?? "")}/${text(row[key])}`, text(row)]));
}

async function digest({ server, db, name }: Side): Promise<unknown> {
  return await server.call("digest", { name, db: db ?? "" });
}

async function describe({ server, db, name }: Side): Promise<Described> {
  return await server.call("describe_collection", { name, db: db ?? "" }) as unknown as Described;
}
