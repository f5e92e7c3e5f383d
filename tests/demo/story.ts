/** What the demo says on the terminal: steps with their time, small print below, a table at the end. */
const bold = (text: string) => Deno.stdout.isTerminal() ? `\x1b[1m${text}\x1b[0m` : text;
const dim = (text: string) => Deno.stdout.isTerminal() ? `\x1b[2m${text}\x1b[0m` : text;

export class Story {
  readonly #start = performance.now();

  say(text: string): void {
    Deno.stdout.writeSync(new TextEncoder().encode(`${text}\n`));
  }

  /** Something is done. */
  step(text: string): void {
    const seconds = ((performance.now() - this.#start) / 1000).toFixed(1).padStart(6);
    this.say(`${dim(`${seconds} s`)}  ${text}`);
  }

  detail(text: string): void {
    this.say(dim(`          ${text}`));
  }

  /** Waits for something, which then is a step. */
  async until(what: string, seconds: number, test: () => Promise<boolean>): Promise<void> {
    const end = performance.now() + seconds * 1000;
    while (!(await test())) {
      if (performance.now() > end) throw new Error(`Not within ${seconds} s: ${what}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    this.step(what[0]!.toUpperCase() + what.slice(1));
  }

  table(head: readonly string[], rows: readonly (readonly string[])[]): void {
    const width = head.map((name, i) => Math.max(name.length, ...rows.map((row) => row[i]!.length)));
    const number = head.map((_, i) => rows.every((row) => /^\d+$/.test(row[i]!)));
    const line = (cells: readonly string[]) =>
      cells.map((cell, i) => number[i] ? cell.padStart(width[i]!) : cell.padEnd(width[i]!)).join("   ");
    this.say("");
    this.say(`  ${bold(line(head))}`);
    this.say(`  ${width.map((count) => "─".repeat(count)).join("───")}`);
    for (const row of rows) this.say(`  ${line(row)}`);
  }
}
