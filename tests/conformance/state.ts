/** What every state store must do; each implementation runs it. */
import assert from "node:assert/strict";
import { TidemarkError } from "../../pipeline/errors.ts";
import type { StateStore } from "../../pipeline/model/mod.ts";

export interface StateFixture {
  /** A new handle on the same state, as another process would open it. */
  open(): StateStore | Promise<StateStore>;
  /** Takes the lease away from its holder behind its back. */
  loseLease(): Promise<void>;
  /** Leaves what a process leaves that is killed in the middle of writing. */
  crashWhileWriting(): Promise<void>;
  /** Lets go of the lease as a killed process does: without a word. Undefined where only a real kill can. */
  close(): Promise<void>;
}

const never = new AbortController().signal;

function isLocked(error: unknown): boolean {
  return error instanceof TidemarkError && error.code === "locked" && error.exitCode === 13 && error.hint !== undefined;
}

/** Registers the suite. `large` is the size of the large document in bytes. */
export function testStateStore(
  name: string,
  create: () => Promise<StateFixture>,
  options: { readonly large?: number; readonly ignore?: boolean } = {},
): void {
  const test = (sentence: string, body: (fixture: StateFixture) => Promise<void>) =>
    Deno.test({
      name: `${name} ${sentence}`,
      ignore: options.ignore ?? false,
      fn: async () => {
        const fixture = await create();
        try {
          await body(fixture);
        } finally {
          await fixture.close();
        }
      },
    });

  test("has no document before the first write", async (fixture) => {
    const store = await fixture.open();
    assert.equal(await store.read(), undefined);
    await store.close();
  });

  test("has no document after it was removed, takes a new one, and is removed only under the lease", async (fixture) => {
    const store = await fixture.open();
    {
      await using _lease = await store.lock(never);
      await store.remove();
      await store.write('{"a":1}');
      await store.remove();
      assert.equal(await store.read(), undefined);
      await store.write('{"a":2}');
      assert.equal(await store.read(), '{"a":2}');
      await store.remove();
    }
    await assert.rejects(store.remove(), isLocked);
    assert.equal(await store.read(), undefined);
    await store.close();
  });

  test("gives back what was written, also to another process and after the lease is released", async (fixture) => {
    const store = await fixture.open();
    {
      await using _lease = await store.lock(never);
      await store.write('{"a":1}');
      await store.write('{"a":470597784452279572,"text":"größer ☃ \\u0000"}');
    }
    assert.equal(await store.read(), '{"a":470597784452279572,"text":"größer ☃ \\u0000"}');
    await store.close();
    const other = await fixture.open();
    assert.equal(await other.read(), '{"a":470597784452279572,"text":"größer ☃ \\u0000"}');
    await other.close();
  });

  test("replaces a long document by a short one and an empty one", async (fixture) => {
    const store = await fixture.open();
    {
      await using _lease = await store.lock(never);
      for (const text of ["x".repeat(100_000), "short", ""]) {
        await store.write(text);
        assert.equal(await store.read(), text);
      }
    }
    await store.close();
  });

  test("keeps a large document whole", async (fixture) => {
    const store = await fixture.open();
    {
      await using _lease = await store.lock(never);
      // Characters of one, two, three and four bytes, so that a cut inside one would show.
      const text = "aé☃😀".repeat(Math.ceil((options.large ?? 5_000_000) / 10));
      await store.write(text);
      assert.equal(await store.read() === text, true);
      await store.write("small again");
      assert.equal(await store.read(), "small again");
    }
    await store.close();
  });

  test("refuses a second holder and names the first", async (fixture) => {
    const first = await fixture.open();
    const second = await fixture.open();
    {
      await using _lease = await first.lock(never);
      await assert.rejects(async () => await second.lock(never), (error) => {
        assert.ok(isLocked(error), String(error));
        assert.match((error as Error).message, new RegExp(`process ${Deno.pid}, since \\d{4}-`));
        return true;
      });
      await assert.rejects(async () => await second.write("not mine"), isLocked);
      await first.write("mine");
    }
    {
      await using _lease = await second.lock(never);
      assert.equal(await second.read(), "mine");
      await second.write("now mine");
    }
    await first.close();
    await second.close();
  });

  test("can be read while another holds the lease", async (fixture) => {
    const first = await fixture.open();
    const second = await fixture.open();
    {
      await using _lease = await first.lock(never);
      await first.write("one");
      assert.equal(await second.read(), "one");
    }
    await first.close();
    await second.close();
  });

  test("refuses to write without the lease, before and after", async (fixture) => {
    const store = await fixture.open();
    await assert.rejects(async () => await store.write("no"), isLocked);
    {
      await using _lease = await store.lock(never);
      await store.write("yes");
    }
    await assert.rejects(async () => await store.write("no longer"), isLocked);
    assert.equal(await store.read(), "yes");
    await store.close();
  });

  test("refuses to write when the lease was lost, and says so by its signal", async (fixture) => {
    const store = await fixture.open();
    {
      await using lease = await store.lock(never);
      await store.write("before");
      await fixture.loseLease();
      await assert.rejects(async () => await store.write("after"), isLocked);
      assert.equal(lease.lost.aborted, true);
      assert.ok(isLocked(lease.lost.reason));
    }
    assert.equal(await store.read(), "before");
    await store.close();
  });

  test("lets another run take a lost lease, whose writes the old holder does not spoil", async (fixture) => {
    const old = await fixture.open();
    const next = await fixture.open();
    const stale = await old.lock(never);
    await old.write("old");
    await fixture.loseLease();
    {
      await using _lease = await next.lock(never);
      await next.write("next");
      await assert.rejects(async () => await old.write("spoilt"), isLocked);
      await stale[Symbol.asyncDispose]();
      await next.write("next again");
      assert.equal(await next.read(), "next again");
    }
    await old.close();
    await next.close();
  });

  test("has the old document after a crash in the middle of a write, and goes on", async (fixture) => {
    const store = await fixture.open();
    {
      await using _lease = await store.lock(never);
      await store.write("whole");
    }
    await fixture.crashWhileWriting();
    assert.equal(await store.read(), "whole");
    {
      await using _lease = await store.lock(never);
      assert.equal(await store.read(), "whole");
      await store.write("next");
      assert.equal(await store.read(), "next");
    }
    await store.close();
  });

  test("may be locked again after release, many times", async (fixture) => {
    const store = await fixture.open();
    for (let turn = 0; turn < 5; turn++) {
      await using _lease = await store.lock(never);
      await store.write(String(turn));
    }
    assert.equal(await store.read(), "4");
    await store.close();
  });

  test("does not lock when its signal has fired", async (fixture) => {
    const store = await fixture.open();
    await assert.rejects(async () => await store.lock(AbortSignal.abort()), { name: "AbortError" });
    {
      await using _lease = await store.lock(never);
    }
    await store.close();
  });
}
