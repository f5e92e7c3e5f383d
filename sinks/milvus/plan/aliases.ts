/** Aliases of a collection. One that belongs to what the run did not make is moved only where the configuration says so. */
import type { AliasOwner, OwnedCollection } from "../../../pipeline/model/mod.ts";
import type { ActualCollection } from "../actual.ts";
import { targetText } from "../described.ts";
import { type AddStep, foreignThing } from "./step.ts";

/** `owners`: which other collections have aliases that are wanted here. */
export function planAliases(
  { source, target, whose }: OwnedCollection,
  actual: ActualCollection | undefined,
  owners: ReadonlyMap<string, AliasOwner>,
  add: AddStep,
): void {
  if (whose.aliases === "none") return;
  const where = targetText(target);
  const there = new Set(actual?.aliases ?? []);
  for (const name of there) {
    const thing = { kind: "alias", name } as const;
    if (source.aliases.includes(name)) {
      if (!whose.made(thing)) whose.adopt?.(thing);
      continue;
    }
    const foreign = foreignThing(
      "drop_alias",
      whose.made(thing) ? "run" : "foreign",
      `${where} has the alias ${name}`,
    );
    add("drop_alias", `Drop alias ${target.db}.${name} of ${where}`, { do: "drop_alias", alias: name }, {
      ends: [thing],
      foreign,
    });
  }
  for (const name of source.aliases) {
    if (there.has(name)) continue;
    const makes = [{ kind: "alias", name }] as const;
    const owner = owners.get(name);
    if (owner === undefined) {
      const sentence = `Create alias ${target.db}.${name} for ${where}`;
      add("create_alias", sentence, { do: "create_alias", alias: name }, { makes });
      continue;
    }
    const from = `${target.db}.${owner.name}`;
    const sentence = `Alter alias ${target.db}.${name} from ${from} to ${where}`;
    const whoseIs = whose.aliasOf(name, owner);
    if (typeof whoseIs === "object") {
      add("alter_alias", sentence, { do: "alter_alias", alias: name }, {
        foreign: { fate: "held", words: whoseIs.clash },
      });
      continue;
    }
    const consents = whose.aliases === "take" ? ["aliases: take"] as const : [];
    const what = `${target.db}.${name} is an alias of ${from}`;
    const foreign = foreignThing("alter_alias", whoseIs, what, consents);
    add("alter_alias", sentence, { do: "alter_alias", alias: name }, { makes, foreign });
  }
}
