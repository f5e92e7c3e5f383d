import assert from "node:assert/strict";
import { reach } from "../../../../pipeline/flow/rows/preflight.ts";
import type { CheckLine } from "../../../../pipeline/model/mod.ts";
import { Waits } from "../../../../pipeline/waits.ts";
import { TidemarkError } from "../../../../pipeline/errors.ts";

const AWAY: CheckLine = { what: "milvus dr:19530", ok: "fail", detail: "It cannot be reached.", code: "unreachable" };

/** Runs `reach` against answers that last one second each. */
async function reaching(answerAt: (seconds: number) => CheckLine[]): Promise<{ seconds: number; warned: string[] }> {
  const warned: string[] = [];
  let seconds = 0;
  const waits = new Waits(() => seconds * 1000);
  await reach(
    { name: "replica", check: () => Promise.resolve(answerAt(seconds)) },
    {
      now: () => seconds * 1000,
      report: { warn: (_key, message) => void warned.push(message) },
      waits,
      wait: (ms) => {
        assert.deepEqual(waits.list().map(({ component, sinceMs }) => [component, sinceMs]), [["sinks.replica", 0]]);
        seconds += ms / 1000;
        return Promise.resolve();
      },
    },
    new AbortController().signal,
  );
  assert.deepEqual(waits.list(), []);
  return { seconds, warned };
}

Deno.test("reach waits for a target that comes up, and says so", async () => {
  const { seconds, warned } = await reaching((at) => at < 7 ? [AWAY] : [{ what: "milvus", ok: "ok", detail: "" }]);
  assert.equal(seconds, 7);
  assert.match(warned[0]!, /^milvus dr:19530: It cannot be reached\. The run ends if that lasts for 30 s$/);
});

Deno.test("reach throws unreachable with what to do where the target stays away", async () => {
  await assert.rejects(
    reaching(() => [AWAY]),
    (error) =>
      error instanceof TidemarkError && error.code === "unreachable" && error.exitCode === 11 &&
      /dr:19530/.test(error.message) && /tidemark check/.test(error.hint ?? ""),
  );
});

Deno.test("reach leaves every other fault to who meets it", async () => {
  const login: CheckLine = { what: "login", ok: "fail", detail: "refused", code: "authentication" };
  assert.deepEqual(await reaching(() => [login]), { seconds: 0, warned: [] });
});
