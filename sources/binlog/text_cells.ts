/**
 * TEXT cells of storage V3: a byte 0 and the text itself, or a byte 1 and where it is in a file of large values (24 bytes:
 * three zeros, a UUID, the row).
 */
import { TidemarkError } from "../../pipeline/errors.ts";
import type { ParquetPage } from "../../stores/mod.ts";
import { damaged } from "./damage.ts";

const INLINE = 0;
const ELSEWHERE = 1;

/** The texts of a page. Throws `unsupported` for one that is elsewhere, `damaged` for a cell that is neither. */
export function inlineTexts(page: ParquetPage, what: string): ParquetPage {
  const { values, valid } = page;
  if (values.kind !== "bytes") throw damaged(what, `holds ${values.kind} values where texts were expected`);
  const texts = values.values.map((cell, row) => {
    if (valid?.[row] === 0) return cell;
    if (cell[0] === INLINE) return cell.subarray(1);
    if (cell[0] !== ELSEWHERE) throw damaged(what, `has a text cell that begins with ${cell[0] ?? "nothing"}`);
    throw new TidemarkError(
      "unsupported",
      `${what} has texts in files of large values (lobs/${uuidOf(cell)}.vx), whose format (Vortex) cannot be read`,
      {
        hint:
          "Texts of 64 KiB and more are kept so (dataNode.text.inlineThreshold). Exclude the collection, or raise the threshold and write the rows anew.",
      },
    );
  });
  return { ...page, values: { kind: "bytes", values: texts } };
}

function uuidOf(cell: Uint8Array): string {
  const hex = Array.from(cell.subarray(4, 20), (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
