/** Figures as Markdown, with what was measured on which machine by which command. */

export interface Figure {
  readonly title: string;
  readonly command: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** What the reader must know to read it. */
  readonly notes?: readonly string[];
}

export function printFigure(figure: Figure): void {
  const { title, command, head, rows, notes = [] } = figure;
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  console.log(`\n### ${title}\n`);
  console.log(line(head));
  console.log(line(head.map((_, i) => i === 0 ? "---" : "---:")));
  for (const row of rows) console.log(line(row));
  console.log();
  for (const note of notes) console.log(`- ${note}`);
  console.log(`- \`${command}\`, ${machine()}`);
}

/** Processors, memory and how busy the machine is. */
function machine(): string {
  const gib = Math.round(Deno.systemMemoryInfo().total / 2 ** 30);
  const load = Deno.loadavg().map((value) => value.toFixed(1)).join(" ");
  return `${navigator.hardwareConcurrency} processors, ${gib} GiB, all servers on it, load average ${load}`;
}

export function fixed(value: number, digits = 2): string {
  return value.toFixed(digits);
}

/** 12345 as `12.3 k`. */
export function thousands(value: number): string {
  return value >= 1000 ? `${(value / 1000).toFixed(1)} k` : String(Math.round(value));
}

/** The value below which `q` of `values` lie. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(q * sorted.length) - 1)] ?? NaN;
}
