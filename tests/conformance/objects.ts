/** What every ObjectStore does. Each implementation, and each decorator around one, passes this suite. */
import assert from "node:assert/strict";
import { TidemarkError } from "../../pipeline/errors.ts";
import type { ObjectInfo, ObjectStore } from "../../pipeline/model/mod.ts";
import { checkWritable, collect, withRetry } from "../../stores/mod.ts";

export interface ObjectsUnderTest {
  readonly store: ObjectStore;
  /** Another store of the same kind that a server-side copy from `store` must work to. */
  readonly sibling: ObjectStore;
  /** So many objects are listed in more than one page. Default 1050. */
  readonly twoPages?: number;
  /** False: the server copies nothing by itself, so that the caller reads and writes. Default true. */
  readonly copies?: boolean;
  /** False: the server ignores the condition of a put, so that of writers at the same moment more than one may win. Default true. */
  readonly decidesRaces?: boolean;
  [Symbol.asyncDispose](): Promise<void>;
}

const text = (value: string) => new TextEncoder().encode(value);
const keysOf = async (list: AsyncIterable<ObjectInfo>) => (await Array.fromAsync(list)).map((info) => info.key);

async function* chunks(...parts: Uint8Array[]): AsyncIterable<Uint8Array> {
  for (const part of parts) yield await Promise.resolve(part);
}

function fails(code: string, message?: RegExp): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof TidemarkError, `Not a TidemarkError: ${error}`);
    assert.equal(error.code, code);
    if (message !== undefined) assert.match(error.message, message);
    return true;
  };
}

/** Registers the suite under `name`; `open` makes a fresh, empty store for each test. */
export function objectStoreConformance(name: string, open: () => Promise<ObjectsUnderTest>): void {
  const test = (sentence: string, body: (under: ObjectsUnderTest) => Promise<void>) =>
    Deno.test(`ObjectStore ${name} ${sentence}`, async () => {
      await using under = await open();
      await body(under);
    });

  test("gives back what was put, with size and time", async ({ store }) => {
    const info = await store.put("a/b/c", text("hello"));
    assert.equal(info.key, "a/b/c");
    assert.equal(info.size, 5n);
    assert.deepEqual(await store.get("a/b/c"), text("hello"));
    const head = await store.head("a/b/c");
    assert.equal(head?.size, 5n);
    assert.equal(head.key, "a/b/c");
    assert.ok(Math.abs(head.modifiedMs - Date.now()) < 3_600_000);
  });

  test("replaces an object and keeps empty ones", async ({ store }) => {
    await store.put("x", text("one"));
    await store.put("x", new Uint8Array());
    assert.equal((await store.get("x")).length, 0);
    assert.equal((await store.head("x"))?.size, 0n);
    assert.deepEqual(await collect(store.stream("x")), new Uint8Array());
  });

  test("answers undefined for a missing head and not_found for a missing object", async ({ store }) => {
    assert.equal(await store.head("nope"), undefined);
    await assert.rejects(store.get("nope"), fails("not_found", /nope/));
    await assert.rejects(store.get("nope", { start: 0, end: 0 }), fails("not_found", /nope/));
    await assert.rejects(collect(store.stream("nope")), fails("not_found", /nope/));
    await assert.rejects(store.copyFrom(store, "nope", "there"), fails("not_found", /nope/));
    await assert.rejects(store.copyFrom(store, "nope", "there", undefined, 10n), fails("not_found", /nope/));
  });

  test("reads ranges with an exclusive end, clipped to the object", async ({ store }) => {
    await store.put("r", text("0123456789"));
    assert.deepEqual(await store.get("r", { start: 2, end: 5 }), text("234"));
    assert.deepEqual(await store.get("r", { start: 8, end: 99 }), text("89"));
    assert.deepEqual(await store.get("r", { start: 4, end: 4 }), new Uint8Array());
    assert.deepEqual(await store.get("r", { start: 50, end: 60 }), new Uint8Array());
  });

  test("writes and reads streams larger than one part", async ({ store }) => {
    const part = crypto.getRandomValues(new Uint8Array(65_536));
    const parts = Array.from({ length: 300 }, () => part);
    const info = await store.put("big", chunks(...parts));
    assert.equal(info.size, BigInt(300 * 65_536));
    const back = await collect(store.stream("big"));
    assert.equal(back.length, 300 * 65_536);
    for (let i = 0; i < 300; i += 37) assert.deepEqual(back.subarray(i * 65_536, (i + 1) * 65_536), part);
    assert.deepEqual(await store.get("big", { start: 65_530, end: 65_540 }), back.subarray(65_530, 65_540));
  });

  test("writes a small and an empty stream", async ({ store }) => {
    await store.put("s", chunks(text("ab"), new Uint8Array(), text("c")));
    assert.deepEqual(await store.get("s"), text("abc"));
    await store.put("e", chunks());
    assert.equal((await store.head("e"))?.size, 0n);
  });

  test("shows nothing of a stream that failed", async ({ store }) => {
    const broken = async function* () {
      yield crypto.getRandomValues(new Uint8Array(65_536));
      throw new Error("the source broke");
    };
    await assert.rejects(store.put("half", broken()), /the source broke/);
    assert.equal(await store.head("half"), undefined);
    assert.deepEqual(await keysOf(store.list("")), []);
    await store.put("kept", text("old"));
    await assert.rejects(store.put("kept", broken()), /the source broke/);
    assert.deepEqual(await store.get("kept"), text("old"));
  });

  test("puts only where absent when asked", async ({ store }) => {
    await store.put("once", text("first"), { ifAbsent: true });
    await assert.rejects(store.put("once", text("second"), { ifAbsent: true }), fails("refused", /once/));
    await assert.rejects(store.put("once", chunks(text("third")), { ifAbsent: true }), fails("refused", /once/));
    assert.deepEqual(await store.get("once"), text("first"));
    await store.put("streamed", chunks(text("fresh")), { ifAbsent: true });
    assert.deepEqual(await store.get("streamed"), text("fresh"));
  });

  test("lets one of many conditional writers win", async ({ store, decidesRaces = true }) => {
    const results = await Promise.allSettled(
      Array.from({ length: 6 }, (_, i) => store.put("race", text(`writer ${i}`), { ifAbsent: true })),
    );
    const winners = results.flatMap((result, i) => result.status === "fulfilled" ? [i] : []);
    if (decidesRaces) assert.equal(winners.length, 1);
    const kept = new TextDecoder().decode(await store.get("race"));
    assert.ok(winners.some((i) => kept === `writer ${i}`), `${kept} of the winners ${winners}`);
    await assert.rejects(store.put("race", text("late"), { ifAbsent: true }), fails("refused", /race/));
  });

  test("lists what is below a prefix in the order of UTF-8 bytes", async ({ store }) => {
    const keys = ["a/1", "a/10", "a/2", "a-b/1", "a.b", "ab/1", "b", "a/é", "a/\u{ffee}", "a/\u{1f600}"];
    for (const key of keys) await store.put(key, text(key));
    assert.deepEqual(await keysOf(store.list("")), [
      "a-b/1",
      "a.b",
      "a/1",
      "a/10",
      "a/2",
      "a/é",
      "a/\u{ffee}",
      "a/\u{1f600}",
      "ab/1",
      "b",
    ]);
    assert.deepEqual(await keysOf(store.list("a/")), ["a/1", "a/10", "a/2", "a/é", "a/\u{ffee}", "a/\u{1f600}"]);
    assert.deepEqual(await keysOf(store.list("a/1")), ["a/1", "a/10"]);
    assert.deepEqual(await keysOf(store.list("nowhere/")), []);
    const sizes = await Array.fromAsync(store.list("a-b/"));
    assert.equal(sizes[0]?.size, 5n);
  });

  test("lists more than one page", async ({ store, twoPages = 1050 }) => {
    const keys = Array.from({ length: twoPages }, (_, i) => `many/${String(i).padStart(5, "0")}`);
    for (let i = 0; i < keys.length; i += 50) {
      await Promise.all(keys.slice(i, i + 50).map((key) => store.put(key, text("x"))));
    }
    assert.deepEqual(await keysOf(store.list("many/")), keys);
    await store.delete(keys);
    assert.deepEqual(await keysOf(store.list("many/")), []);
  });

  test("names the folders directly below a prefix", async ({ store }) => {
    for (const key of ["p/a/1", "p/a/2", "p/b/c/3", "p/file", "q/z"]) await store.put(key, text(key));
    assert.deepEqual(await store.folders(""), ["p", "q"]);
    assert.deepEqual(await store.folders("p/"), ["a", "b"]);
    assert.deepEqual(await store.folders("none/"), []);
  });

  test("deletes objects, and does not mind missing ones", async ({ store }) => {
    await store.put("d/1", text("1"));
    await store.put("d/2", text("2"));
    await store.delete(["d/1", "d/none"]);
    assert.deepEqual(await keysOf(store.list("d/")), ["d/2"]);
    await store.delete(["d/2"]);
    await store.delete(["d/2"]);
    await store.delete([]);
    assert.deepEqual(await store.folders(""), []);
    await store.put("d", text("a folder's name is free again"));
  });

  test("copies on the server within itself and from a sibling", async ({ store, sibling, copies = true }) => {
    const bytes = new Uint8Array(200_000).map((_, i) => i * 7);
    await store.put("from/é 1+2?", bytes);
    if (!copies) {
      assert.equal(await store.copyFrom(store, "from/é 1+2?", "to/x"), undefined);
      assert.equal(await store.head("to/x"), undefined);
      return;
    }
    const copied = await store.copyFrom(store, "from/é 1+2?", "to/x");
    assert(copied);
    assert(copied.etag === "" || copied.etag === (await store.head("to/x"))?.etag, "the ETag of the copy");
    assert.deepEqual(await store.get("to/x"), bytes);
    assert(await sibling.copyFrom(store, "from/é 1+2?", "copied/y"));
    assert.deepEqual(await sibling.get("copied/y"), bytes);
    assert(await sibling.copyFrom(store, "from/é 1+2?", "copied/z", undefined, 200_000n));
    assert.deepEqual(await sibling.get("copied/z"), bytes);
    await store.delete(["from/é 1+2?"]);
    assert.deepEqual(await sibling.get("copied/y"), bytes);
  });

  test("refuses keys that leave the store", async ({ store }) => {
    for (const key of ["../x", "a/../../x", "/abs", "a//b", "", "a/", "./a", "a/.", "nul\0"]) {
      await assert.rejects(async () => await store.put(key, text("x")), fails("refused", /plain relative path/), key);
      await assert.rejects(async () => await store.get(key), fails("refused"), key);
    }
    await assert.rejects(async () => await keysOf(store.list("../")), fails("refused"));
  });

  test("stops by signal", async ({ store }) => {
    await store.put("k", text("k"));
    const stopped = AbortSignal.abort();
    await assert.rejects(async () => await store.get("k", undefined, stopped));
    await assert.rejects(async () => await store.put("l", text("l"), {}, stopped));
    await assert.rejects(async () => await keysOf(store.list("", stopped)));
    const controller = new AbortController();
    const endless = async function* () {
      for (let i = 0;; i++) {
        if (i === 100) controller.abort();
        yield new Uint8Array(65_536);
        await Promise.resolve();
      }
    };
    await assert.rejects(async () => await store.put("l", endless(), {}, controller.signal));
    assert.equal(await store.head("l"), undefined);
  });
}

/**
 * The suite for stores of one kind of server: as they are, and below a prefix with retries. `open` makes a store in a place of
 * its own, all of which goes with the server, and which lists 40 objects a page.
 */
export function serverConformance(
  name: string,
  open: (prefix: string) => Promise<ObjectStore>,
  facts: Pick<ObjectsUnderTest, "decidesRaces" | "copies"> = {},
): void {
  const suite = (title: string, prefix: string, wrap: (store: ObjectStore) => ObjectStore) =>
    objectStoreConformance(title, async () => {
      const [store, sibling] = [wrap(await open(prefix)), wrap(await open(prefix))];
      return {
        store,
        sibling,
        twoPages: 105,
        ...facts,
        async [Symbol.asyncDispose]() {
          await store.close();
          await sibling.close();
        },
      };
    });
  suite(name, "", (store) => store);
  suite(`${name} below a prefix, with retry`, "deep/er", (store) => withRetry(store));
}

/** What `checkWritable` says of a store that lacks nothing, and that nothing stays behind. */
export async function assertChecksWell(plain: ObjectStore): Promise<void> {
  const store = withRetry(plain);
  assert.deepEqual(await checkWritable("vault", store, "", new AbortController().signal), [{
    what: "vault",
    ok: "ok",
    detail: "can be written, read and deleted from: what exists is not replaced, copies by the server, clocks agree",
  }]);
  assert.deepEqual(await Array.fromAsync(store.list("")), []);
  await store.close();
}
