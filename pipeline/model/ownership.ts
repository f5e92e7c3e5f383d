/** Whose thing something on a target is. The run knows what it made from its state; everything else is somebody else's. */

/** Something on a target that can be made, changed or taken away. Names are the target's. */
export type Thing =
  /** The collection itself: false of one that was there and is merged into. */
  | { readonly kind: "collection" }
  /** An alias of this collection. */
  | { readonly kind: "alias"; readonly name: string }
  | { readonly kind: "partition"; readonly name: string }
  /** `id`: as the target numbers it, so that another one of that name is another; empty where it is not known. */
  | { readonly kind: "index"; readonly name: string; readonly id: string }
  /** Made with this value: another value is another's. */
  | { readonly kind: "property"; readonly key: string; readonly value: string }
  /** That the collection, or part of it, is loaded. */
  | { readonly kind: "load" }
  | { readonly kind: "database"; readonly name: string }
  | { readonly kind: "database_property"; readonly database: string; readonly key: string; readonly value: string }
  | { readonly kind: "user" | "role" | "privilege_group"; readonly name: string }
  | { readonly kind: "binding"; readonly user: string; readonly role: string }
  | { readonly kind: "grant"; readonly text: string };

/** `transforms.aliases`: what becomes of an alias that belongs to something foreign; `none` carries no aliases. */
export type AliasPolicy = "keep_foreign" | "take" | "none";

/** Which collection of the target an alias belongs to, in words and by its identity. */
export interface AliasOwner {
  readonly name: string;
  readonly identity: string;
}

/** What a sink asks of the run about one collection, or about the target as a whole. */
export interface Whose {
  /** Whether the run made it. */
  readonly made: (thing: Thing) => boolean;
  /**
   * Told of wanted things that are there as they are wanted, where the state is of a version that did not note what it
   * made: they are taken for the run's.
   */
  readonly adopt?: (thing: Thing) => void;
}

/** About one collection. */
export interface WhoseCollection extends Whose {
  readonly aliases: AliasPolicy;
  /** The configuration lets it write into what it did not make (`on_existing: merge`). */
  readonly merge: boolean;
  /**
   * Whose an alias is that another collection has: `run`, and that one gives it up; `clash`: two collections of the run want
   * it, `foreign` otherwise.
   */
  readonly aliasOf: (alias: string, owner: AliasOwner) => "run" | "foreign" | { readonly clash: string };
}

/**
 * One text for each thing, under which the state notes it.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { thingText } from "./ownership.ts";
 *
 * assert.equal(thingText({ kind: "alias", name: "prod" }), "alias prod");
 * assert.equal(thingText({ kind: "index", name: "vec", id: "7" }), "index vec 7");
 * ```
 */
export function thingText(thing: Thing): string {
  switch (thing.kind) {
    case "collection":
    case "load":
      return thing.kind;
    case "index":
      return thing.id === "" ? `index ${thing.name}` : `index ${thing.name} ${thing.id}`;
    case "property":
      return `property ${thing.key}=${thing.value}`;
    case "database_property":
      return `database_property ${thing.database} ${thing.key}=${thing.value}`;
    case "binding":
      return `binding ${JSON.stringify([thing.user, thing.role])}`;
    case "grant":
      return `grant ${thing.text}`;
    default:
      return `${thing.kind} ${thing.name}`;
  }
}

/**
 * Whether a note is of this thing: an index may have been noted before its number was known.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { isNoted } from "./ownership.ts";
 *
 * assert.ok(isNoted(new Set(["index vec"]), { kind: "index", name: "vec", id: "7" }));
 * assert.ok(!isNoted(new Set(["index vec 6"]), { kind: "index", name: "vec", id: "7" }));
 * ```
 */
export function isNoted(notes: ReadonlySet<string>, thing: Thing): boolean {
  return notes.has(thingText(thing)) || (thing.kind === "index" && notes.has(thingText({ ...thing, id: "" })));
}

/**
 * Takes all notes of a thing away: of an index whatever its number, of a property whatever its value.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { forget } from "./ownership.ts";
 *
 * const notes = new Set(["index vec 6", "property ttl=60", "load"]);
 * forget(notes, { kind: "index", name: "vec", id: "" });
 * forget(notes, { kind: "property", key: "ttl", value: "70" });
 * assert.deepEqual([...notes], ["load"]);
 * ```
 */
export function forget(notes: Set<string>, thing: Thing): void {
  notes.delete(thingText(thing));
  if (thing.kind === "index") {
    for (const note of notes) if (note.startsWith(`index ${thing.name} `)) notes.delete(note);
    notes.delete(`index ${thing.name}`);
  }
  if (thing.kind === "property") {
    for (const note of notes) if (note.startsWith(`property ${thing.key}=`)) notes.delete(note);
  }
}
