/** Databases: create, alter properties, drop. */
import type { DdlGate, DdlKind, DdlOutcome, DdlStep, Properties, Thing, Whose } from "../../../pipeline/model/mod.ts";
import type { Owner } from "../../../pipeline/transforms/mod.ts";
import { toTidemarkError } from "../../../pipeline/errors.ts";
import { propertiesOf, unless } from "../actual.ts";
import { METHOD, type MilvusClient, type Request } from "../client.ts";
import { foreignThing, type StepDetails } from "../plan/step.ts";
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
 * `default` is never created or dropped. A database that the run did not make keeps its properties and stays.
 * `knowsProperties`: false for a release whose databases have none.
 */
export function planDatabases(
  wanted: readonly WantedDatabase[],
  drop: readonly string[],
  actual: ReadonlyMap<string, Properties | undefined>,
  whose: Whose,
  knowsProperties = true,
): DatabaseStep[] {
  const steps: DatabaseStep[] = [];
  const add = (kind: DdlKind, sentence: string, action: DatabaseAction, details: StepDetails = {}): void => {
    const { makes, ends, foreign } = details;
    steps.push({
      ...{ kind, collectionId: undefined, sentence, destructive: kind === "drop_database", action },
      ...(makes === undefined ? {} : { makes }),
      ...(ends === undefined ? {} : { ends }),
      ...(foreign === undefined ? {} : { foreign }),
    });
  };
  const owner = (name: string): Owner => whose.made({ kind: "database", name }) ? "run" : "foreign";
  for (const { name, properties } of wanted) {
    const own = Object.fromEntries(Object.entries(properties ?? {}).filter(([key]) => !FOREIGN_PROPERTY.test(key)));
    const told = knowsProperties ? own : {};
    if (!actual.has(name)) {
      if (name !== "default") {
        const makes: Thing[] = [{ kind: "database", name }, ...propertyThings(name, told)];
        add("create_database", `Create database ${name}`, { do: "create", name, properties: told }, { makes });
        if (knowsProperties) continue;
      }
    }
    if (properties === undefined) continue;
    if (!knowsProperties) {
      const list = Object.entries(own).map(([key, value]) => `${key}=${value}`).join(", ");
      const foreign = {
        fate: "left",
        words: "databases of this release have no properties, so they are left out",
      } as const;
      if (list !== "") {
        add("alter_database", `Set ${list} on database ${name}`, { do: "alter", name, set: own, remove: [] }, {
          foreign,
        });
      }
      continue;
    }
    const have = actual.get(name) ?? {};
    const ownerOf = (key: string): Owner => {
      if (owner(name) === "foreign") return "foreign";
      if (have[key] === undefined) return "nobody";
      return whose.made({ kind: "database_property", database: name, key, value: have[key] }) ? "run" : "foreign";
    };
    const foreignOf = (key: string) =>
      foreignThing(
        "alter_database",
        ownerOf(key),
        have[key] === undefined ? `Database ${name} has no ${key}` : `Database ${name} has ${key}=${have[key]}`,
      );
    for (const [key, value] of Object.entries(own)) {
      if (have[key] === value) continue;
      add("alter_database", `Set ${key}=${value} on database ${name}`, {
        do: "alter",
        name,
        set: { [key]: value },
        remove: [],
      }, {
        makes: propertyThings(name, { [key]: value }),
        ends: have[key] === undefined ? [] : propertyThings(name, { [key]: have[key] }),
        foreign: foreignOf(key),
      });
    }
    for (const [key, value] of Object.entries(have)) {
      if (key in own || FOREIGN_PROPERTY.test(key)) continue;
      add("alter_database", `Remove ${key} from database ${name}`, { do: "alter", name, set: {}, remove: [key] }, {
        ends: propertyThings(name, { [key]: value }),
        foreign: foreignOf(key),
      });
    }
  }
  for (const name of drop) {
    if (name === "default" || !actual.has(name)) continue;
    add("drop_database", `Drop database ${name}`, { do: "drop", name }, {
      ends: [{ kind: "database", name }],
      foreign: foreignThing("drop_database", owner(name), `Database ${name} was there before`),
    });
  }
  return steps;
}

function propertyThings(database: string, properties: Properties): Thing[] {
  return Object.entries(properties).map(([key, value]) => ({ kind: "database_property", database, key, value }));
}

/** Whether databases of the target have properties: every release has this one, and those that know none describe none. */
async function haveProperties(client: MilvusClient, signal: AbortSignal): Promise<boolean> {
  const request: Request = { what: "describe the database default", db: "", signal };
  try {
    await client.call(METHOD.describeDatabase, { dbName: "default" }, request);
  } catch (error) {
    return toTidemarkError(error).code !== "unsupported";
  }
  return true;
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
  whose: Whose,
  gate: DdlGate,
  signal: AbortSignal,
): Promise<DdlOutcome[]> {
  const actual = await readDatabases(client, wanted.map((one) => one.name), signal);
  const some = wanted.some(({ properties = {} }) => Object.keys(properties).length > 0);
  const steps = planDatabases(wanted, drop, actual, whose, !some || await haveProperties(client, signal));
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
