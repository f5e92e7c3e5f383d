/** Which collections a task has, beside others of the same target (`checkDuplicateCollection` of milvus-cdc). */
import { CdcFailure } from "./failure.ts";
import { type CdcTask, scopeOf } from "./task.ts";

/** `names` and `mapped`: `database.collection`, each part may be `*`. */
export interface WantedScope {
  readonly target: string;
  readonly names: readonly string[];
  readonly userRole: boolean;
  /** Sources of a name mapping. */
  readonly mapped: readonly string[];
}

/** What the new task leaves to those that are there: the part of a `*` that another task has. Throws 400 where both want the same. */
export function leftToOthers(
  wanted: WantedScope,
  tasks: readonly Pick<CdcTask, "target" | "collectionInfos" | "dbCollections" | "excluded" | "userRole">[],
): string[] {
  const beside = tasks.filter(({ target }) => target === wanted.target);
  if (wanted.userRole && beside.some(({ userRole }) => userRole)) {
    throw new CdcFailure(400, "the enable user role param is duplicate");
  }
  const there = beside.flatMap(scopeOf);
  const excluded = new Set(beside.flatMap((task) => task.excluded));
  const twice = wanted.names.filter((name) =>
    there.includes(name) ||
    (name !== "*.*" && !excluded.has(name) && there.some((other) => other.includes("*") && covers(other, name)))
  );
  if (twice.length > 0) {
    throw new CdcFailure(400, `the collection name is duplicate with existing task, [${twice.join(" ")}]`);
  }
  if (!wanted.mapped.every((name) => wanted.names.some((own) => covers(own, name)))) {
    throw new CdcFailure(400, "the collection name in the name mapping is not in the collection info, checkout it");
  }
  return wanted.names.flatMap((name) => there.filter((other) => covers(name, other)));
}

function covers(pattern: string, name: string): boolean {
  const [db, collection] = parts(pattern);
  const [otherDb, other] = parts(name);
  return (db === "*" || db === otherDb) && (collection === "*" || collection === other);
}

function parts(name: string): readonly [db: string, collection: string] {
  const dot = name.indexOf(".");
  return [name.slice(0, dot), name.slice(dot + 1)];
}
