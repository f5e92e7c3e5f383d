/** Databases: create, alter properties, drop. */
import type { DdlGate, DdlKind, DdlOutcome, DdlStep, Properties } from "../../../pipeline/model/mod.ts";
import { propertiesOf, unless } from "../actual.ts";
import { METHOD, type MilvusClient, type Request } from "../client.ts";
import { pairs, plainStep, type RunnableStep, runSteps } from "./execute.ts";

export interface WantedDatabase {
  readonly name: string;
  /** Undefined: it must exist, its properties are its own. */
  readonly properties: Properties | undefined;
}

export type DatabaseAction =
  | { readonly do: "create"; readonly name: string; readonly properties: Properties }
  | { readonly do: "alter"; readonly name: string; readonly set: Properties; readonly remove: readonly string[] }
  | { readonly do: "drop"; readonly name: string };

export interface DatabaseStep extends DdlStep {
  readonly action: DatabaseAction;
}

/** Set by servers for themselves. */
const FOREIGN_PROPERTY = /^(?:cipher\.|replicate\.|timezone$)/;

/**
 * The steps from what the target has (name -> properties, undefined where it does not tell them) to what is wanted.
 * `default` is never created or dropped.
 */
export function planDatabases(
  wanted: readonly WantedDatabase[],
  drop: readonly string[],
  actual: ReadonlyMap<string, Properties | undefined>,
): DatabaseStep[] {
  const steps: DatabaseStep[] = [];
  const add = (kind: DdlKind, sentence: string, action: DatabaseAction): void =>
    void steps.push({ kind, collectionId: undefined, sentence, destructive: kind === "drop_database", action });
  for (const { name, properties } of wanted) {
    const own = Object.fromEntries(Object.entries(properties ?? {}).filter(([key]) => !FOREIGN_PROPERTY.test(key)));
    if (!actual.has(name)) {
      if (name !== "default") {
        add("create_database", `Create database ${name}`, { do: "create", name, properties: own });
        continue;
      }
    }
    if (properties === undefined) continue;
    const have = actual.get(name) ?? {};
    const set = Object.fromEntries(Object.entries(own).filter(([key, value]) => have[key] !== value));
    const remove = Object.keys(have).filter((key) => !(key in own) && !FOREIGN_PROPERTY.test(key));
    if (Object.keys(set).length > 0) {
      const words = Object.entries(set).map(([key, value]) => `${key}=${value}`).join(", ");
      add("alter_database", `Set ${words} on database ${name}`, { do: "alter", name, set, remove: [] });
    }
    if (remove.length > 0) {
      const sentence = `Remove ${remove.join(", ")} from database ${name}`;
      add("alter_database", sentence, { do: "alter", name, set: {}, remove });
    }
  }
  for (const name of drop) {
    if (name === "default" || !actual.has(name)) continue;
    add("drop_database", `Drop database ${name}`, { do: "drop", name });
  }
  return steps;
}

export async function readDatabases(
  client: MilvusClient,
  names: readonly string[],
  signal: AbortSignal,
): Promise<Map<string, Properties | undefined>> {
  const request = (what: string): Request => ({ what, db: "", signal });
  const listed = await unless(["unsupported"], client.call(METHOD.listDatabases, {}, request("list the databases")));
  // Before 2.2.9 there are none: everything is in `default`.
  const actual = new Map<string, Properties | undefined>();
  for (const name of listed?.dbNames ?? ["default"]) {
    const described = names.includes(name)
      ? await unless(
        ["unsupported", "refused", "not_found"],
        client.call(METHOD.describeDatabase, { dbName: name }, request(`describe the database ${name}`)),
      )
      : undefined;
    actual.set(name, described === undefined ? undefined : propertiesOf(described.properties));
  }
  return actual;
}

export async function reconcileDatabases(
  client: MilvusClient,
  wanted: readonly WantedDatabase[],
  drop: readonly string[],
  gate: DdlGate,
  signal: AbortSignal,
): Promise<DdlOutcome[]> {
  const actual = await readDatabases(client, wanted.map((one) => one.name), signal);
  const steps = planDatabases(wanted, drop, actual);
  const runnable: RunnableStep[] = steps.map((step) => ({
    step: plainStep(step),
    essential: false,
    run: () => executeDatabase(client, step, signal),
  }));
  return await runSteps(runnable, gate);
}

async function executeDatabase(client: MilvusClient, step: DatabaseStep, signal: AbortSignal): Promise<void> {
  const { action } = step;
  const request: Request = { what: step.sentence.charAt(0).toLowerCase() + step.sentence.slice(1), db: "", signal };
  switch (action.do) {
    case "create":
      await client.call(METHOD.createDatabase, { dbName: action.name, properties: pairs(action.properties) }, request);
      return;
    case "alter":
      await client.call(
        METHOD.alterDatabase,
        { dbName: action.name, properties: pairs(action.set), deleteKeys: [...action.remove] },
        request,
      );
      return;
    case "drop":
      await client.call(METHOD.dropDatabase, { dbName: action.name }, request);
      return;
  }
}
