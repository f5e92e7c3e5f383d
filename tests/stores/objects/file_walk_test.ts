import assert from "node:assert/strict";
import fc from "fast-check";
import { walkFiles } from "../../../stores/objects/file_walk.ts";

type Tree = { readonly [name: string]: Tree | number };

const tree: fc.Arbitrary<Tree> = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.dictionary(
    fc.string({ unit: fc.constantFrom("a", "b", "c"), minLength: 1, maxLength: 3 }),
    fc.oneof({ depthSize: "small" }, fc.nat(9), tie("tree")),
    { maxKeys: 8 },
  ),
})).tree;

function at(root: Tree, key: string): Tree | number {
  return key.split("/").filter(Boolean).reduce<Tree | number>((below, name) => (below as Tree)[name]!, root);
}

/** `0` is no file. Answers come in any order. */
function readerOf(root: Tree, fails?: string) {
  const seen = { open: 0, most: 0, asked: 0 };
  const answer = async <T>(key: string, value: () => T): Promise<T> => {
    seen.asked++;
    seen.most = Math.max(seen.most, ++seen.open);
    for (let i = (key.length * 7 + seen.asked) % 5; i > 0; i--) await Promise.resolve();
    seen.open--;
    if (key === fails) throw new Error(`no ${key}`);
    return value();
  };
  const names = (folder: string) =>
    answer(folder, () => {
      const below = at(root, folder) as Tree;
      return Object.keys(below).map((name) => `${folder}${name}${typeof below[name] === "number" ? "" : "/"}`).sort();
    });
  const file = (key: string) => answer(key, () => at(root, key) === 0 ? undefined : key);
  return { seen, reader: { names, file } };
}

function keysOf(root: Tree, folder = ""): string[] {
  const below = at(root, folder) as Tree;
  return Object.keys(below).map((name) => `${folder}${name}${typeof below[name] === "number" ? "" : "/"}`).sort()
    .flatMap((key) => key.endsWith("/") ? keysOf(root, key) : at(root, key) === 0 ? [] : [key]);
}

Deno.test("walkFiles gives every file in order, asks for each name once and for 16 at a time", async () => {
  await fc.assert(fc.asyncProperty(tree, async (root) => {
    const { reader, seen } = readerOf(root);
    assert.deepEqual(await Array.fromAsync(walkFiles(reader, "", undefined)), keysOf(root));
    assert.ok(seen.most <= 16, `${seen.most} at once`);
    const count = (below: Tree): number =>
      Object.values(below).reduce<number>((sum, item) => sum + 1 + (typeof item === "number" ? 0 : count(item)), 0);
    assert.equal(seen.asked, 1 + count(root));
  }));
});

Deno.test("walkFiles reads ahead of what is taken, but not a folder of many names to its end, and stops with its reader", async () => {
  const many = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`f${String(i).padStart(4, "0")}`, { x: 1 }]));
  const { reader, seen } = readerOf({ many });
  for await (const file of walkFiles(reader, "", undefined)) {
    assert.equal(file, "many/f0000/x");
    break;
  }
  assert.equal(seen.open, 0);
  assert.ok(seen.asked > 16 && seen.asked < 100, `${seen.asked} were asked for`);
});

Deno.test("walkFiles throws what the reader throws in its turn, behind the files before it", async () => {
  const { reader } = readerOf({ a: { x: 1 }, b: { x: 1 }, c: { x: 1 } }, "b/x");
  const found: string[] = [];
  await assert.rejects(async () => {
    for await (const file of walkFiles(reader, "", undefined)) found.push(file);
  }, /no b\/x/);
  assert.deepEqual(found, ["a/x"]);
  const ended = new AbortController();
  await assert.rejects(async () => {
    for await (const _ of walkFiles(readerOf({ a: { x: 1 }, b: { x: 1 } }).reader, "", ended.signal)) ended.abort();
  }, { name: "AbortError" });
});
