/** Rows of text in aligned columns. */

export interface TableOptions {
  /** Indexes of columns that are aligned to the right: numbers. */
  readonly right?: readonly number[];
  /** Blanks before each line. Default 0. */
  readonly indent?: number;
}

/** The lines of a table, the first row being its head; no trailing blanks. */
export function table(rows: readonly (readonly string[])[], options: TableOptions = {}): string[] {
  const columns = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from(
    { length: columns },
    (_, column) => Math.max(...rows.map((row) => displayWidth(row[column] ?? ""))),
  );
  return rows.map((row) => {
    const cells = Array.from({ length: columns }, (_, column) => {
      const cell = row[column] ?? "";
      const blanks = " ".repeat(widths[column]! - displayWidth(cell));
      return options.right?.includes(column) ? blanks + cell : cell + blanks;
    });
    return " ".repeat(options.indent ?? 0) + cells.join("  ").trimEnd();
  });
}

/** Cut to `width` columns, with an ellipsis where something is missing. */
export function clip(text: string, width: number): string {
  if (displayWidth(text) <= width) return text;
  let out = "";
  let used = 0;
  for (const char of text) {
    const wide = charWidth(char);
    if (used + wide > width - 1) break;
    out += char;
    used += wide;
  }
  return width <= 0 ? "" : `${out}…`;
}

/** Columns that a terminal uses: East Asian characters and emoji take two. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const char of text) width += charWidth(char);
  return width;
}

function charWidth(char: string): number {
  const code = char.codePointAt(0)!;
  if (code < 0x1100) return 1;
  const wide = code <= 0x115f || (code >= 0x2e80 && code <= 0xa4cf) || (code >= 0xac00 && code <= 0xd7a3) ||
    (code >= 0xf900 && code <= 0xfaff) || (code >= 0xfe30 && code <= 0xfe6f) || (code >= 0xff00 && code <= 0xff60) ||
    (code >= 0xffe0 && code <= 0xffe6) || (code >= 0x1f300 && code <= 0x1faff) || code >= 0x20000;
  return wide ? 2 : 1;
}
