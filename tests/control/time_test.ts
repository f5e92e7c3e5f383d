import assert from "node:assert/strict";
import fc from "fast-check";
import type { TidemarkError } from "../../pipeline/errors.ts";
import { hybridFromMs, isoOfHybrid } from "../../pipeline/model/mod.ts";
import { parseMoment } from "../../control/time.ts";

const now = new Date("2026-11-21T12:00:00.500Z");
const iso = (text: string) => isoOfHybrid(parseMoment(text, now));

Deno.test("parseMoment reads ISO times, in UTC where no zone is named", () => {
  assert.equal(iso("2026-11-19T14:05:00Z"), "2026-11-19T14:05:00.000Z");
  assert.equal(iso("2026-11-19 14:05"), "2026-11-19T14:05:00.000Z");
  assert.equal(iso("2026-11-19T14:05:00.250+02:00"), "2026-11-19T12:05:00.250Z");
  assert.equal(iso("2026-11-19T00:30:00+0100"), "2026-11-18T23:30:00.000Z");
  assert.equal(iso("2026-11-19"), "2026-11-19T00:00:00.000Z");
});

Deno.test("parseMoment includes everything of the millisecond that it names", () => {
  const ts = parseMoment("2026-11-19T14:05:00Z", now);
  assert.equal(ts, hybridFromMs(Date.UTC(2026, 10, 19, 14, 5), (1n << 18n) - 1n));
  assert.equal(ts + 1n, hybridFromMs(Date.UTC(2026, 10, 19, 14, 5) + 1));
});

Deno.test("parseMoment reads a hybrid timestamp exactly", () => {
  assert.equal(parseMoment("470613607672709121", now), 470613607672709121n);
});

Deno.test("parseMoment reads relative times and now", () => {
  assert.equal(iso("10m ago"), "2026-11-21T11:50:00.500Z");
  assert.equal(iso("1d12h ago"), "2026-11-20T00:00:00.500Z");
  assert.equal(iso("now"), now.toISOString());
});

Deno.test("parseMoment refuses anything else and says which forms there are", () => {
  for (
    const text of [
      "",
      "yesterday",
      "14:05",
      "2026-13-01",
      "2026-02-31T00:00:00Z",
      "2026-11-19T25:00:00Z",
      "10 ago",
      "ten m ago",
      "1732190400",
      "1732190400000",
      "99999999999999999999",
      "-5",
    ]
  ) {
    assert.throws(() => parseMoment(text, now), (error: TidemarkError) => {
      assert.equal(error.code, "usage", text);
      assert.match(error.hint!, /ISO time/);
      return true;
    });
  }
});

Deno.test("parseMoment reads back what toISOString writes", () => {
  fc.assert(
    fc.property(fc.date({ min: new Date("2016-01-01"), max: new Date("2100-01-01"), noInvalidDate: true }), (date) => {
      assert.equal(iso(date.toISOString()), date.toISOString());
    }),
  );
});
