import assert from "node:assert/strict";
import fc from "fast-check";
import { geometryOfText, textOfGeometry } from "../../../pipeline/columns/mod.ts";

/** Text and the binary that Milvus' own library makes of it. */
const KNOWN: readonly (readonly [string, string])[] = [
  ["POINT (1 2)", "0101000000000000000000f03f0000000000000040"],
  ["POINT EMPTY", "0101000000000000000000f87f000000000000f87f"],
  ["LINESTRING (0 0, 0 1)", "010200000002000000000000000000000000000000000000000000000000000000000000000000f03f"],
  ["GEOMETRYCOLLECTION EMPTY", "010700000000000000"],
];

const LAYOUTS = ["", " Z", " M", " ZM"] as const;
const number = fc.double({ noNaN: true, noDefaultInfinity: true });

/** Any geometry, as this program writes it. */
function anyText(): fc.Arbitrary<string> {
  return fc.integer({ min: 0, max: 3 }).chain((layout) => {
    const width = layout === 0 ? 2 : layout === 3 ? 4 : 3;
    const tag = LAYOUTS[layout]!;
    const point = fc.array(number, { minLength: width, maxLength: width }).map((all) => all.map(plain).join(" "));
    const list = (one: fc.Arbitrary<string>) =>
      fc.array(one, { maxLength: 3 }).map((all) => all.length === 0 ? "EMPTY" : `(${all.join(", ")})`);
    const single = fc.oneof(fc.constant("EMPTY"), point.map((text) => `(${text})`));
    const simple = fc.oneof(
      single.map((body) => `POINT${tag} ${body}`),
      list(point).map((body) => `LINESTRING${tag} ${body}`),
      list(list(point)).map((body) => `POLYGON${tag} ${body}`),
      list(single).map((body) => `MULTIPOINT${tag} ${body}`),
      list(list(point)).map((body) => `MULTILINESTRING${tag} ${body}`),
      list(list(list(point))).map((body) => `MULTIPOLYGON${tag} ${body}`),
    );
    return fc.oneof(simple, list(simple).map((body) => `GEOMETRYCOLLECTION${tag} ${body}`));
  });
}

/** The shortest decimal without an exponent. */
function plain(value: number): string {
  const text = Object.is(value, -0) ? "-0" : String(value);
  if (!text.includes("e")) return text;
  const [mantissa, exponent] = text.split("e") as [string, string];
  const sign = mantissa.startsWith("-") ? "-" : "";
  const [whole, fraction = ""] = mantissa.replace("-", "").split(".") as [string, string?];
  const point = whole.length + Number(exponent);
  const digits = whole + fraction;
  return point <= 0 ? `${sign}0.${"0".repeat(-point)}${digits}` : `${sign}${digits.padEnd(point, "0")}`;
}

Deno.test("geometryOfText makes the binary that Milvus stores, and textOfGeometry the text again", () => {
  for (const [text, hex] of KNOWN) {
    assert.equal(geometryOfText(text).toHex(), hex);
    assert.equal(textOfGeometry(Uint8Array.fromHex(hex)), text);
  }
  assert.equal(textOfGeometry(geometryOfText("multipoint(1 2,3 4)")), "MULTIPOINT ((1 2), (3 4))");
  assert.equal(textOfGeometry(geometryOfText("POINTZ(1 2 3)")), "POINT Z (1 2 3)");
  const bigEndian = "00000000013ff00000000000004000000000000000";
  assert.equal(textOfGeometry(Uint8Array.fromHex(bigEndian)), "POINT (1 2)");
});

Deno.test("textOfGeometry and geometryOfText are inverse, to the bit of every coordinate", () => {
  fc.assert(
    fc.property(anyText(), (text) => {
      const wkb = geometryOfText(text);
      assert.equal(textOfGeometry(wkb), text);
      assert.deepEqual(geometryOfText(textOfGeometry(wkb)), wkb);
    }),
  );
});

Deno.test("textOfGeometry and geometryOfText refuse what is no geometry", () => {
  for (const hex of ["", "01", "0101000000", "0109000000", "0102000000ffffffff", "010700000000000000ff"]) {
    assert.throws(() => textOfGeometry(Uint8Array.fromHex(hex)), { code: "damaged" }, hex);
  }
  for (
    const text of ["", "POINT", "POINT (1)", "POINT (1 2", "CIRCLE (1 2)", "POINT (a b)", "POINT (1 2) POINT (1 2)"]
  ) {
    assert.throws(() => geometryOfText(text), { code: "damaged" }, text);
  }
});
