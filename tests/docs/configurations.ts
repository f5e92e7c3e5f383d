/** The configurations that the pages show: each is a file of its own, named in its first line. */
import { type Block, type Page, readPages } from "./pages.ts";

export interface ShownConfiguration {
  readonly page: string;
  readonly line: number;
  /** `vault.yaml`. */
  readonly name: string;
  /** The file that it is laid over, where it is an overlay. */
  readonly over: string | undefined;
  readonly text: string;
}

/** Throws for a block that does not name its file. */
export function configurationOf(block: Block): ShownConfiguration {
  const rows = block.text.split("\n");
  const named = rows.slice(0, 2).map((row) => /^# ([\w-]+\.yaml)(?: over ([\w-]+\.yaml))?$/.exec(row))
    .find((match) => match !== null);
  if (named === undefined) {
    throw new Error(`${block.page}:${block.line}: the first line must be # NAME.yaml or # NAME.yaml over OTHER.yaml`);
  }
  return { page: block.page, line: block.line, name: named![1]!, over: named![2], text: block.text + "\n" };
}

/** The configurations of one page, by file name; those of the README stand in where the page has none of that name. */
export function configurationsOf(page: Page, pages: readonly Page[] = readPages()): Map<string, ShownConfiguration> {
  const readme = pages.find(({ path }) => path === "README.md")!;
  const shown = [readme, page].flatMap(({ blocks }) => blocks.filter(({ language }) => language === "yaml"));
  return new Map(shown.map(configurationOf).map((configuration) => [configuration.name, configuration]));
}

/** The files to give with --config for this one: those that it is laid over first. */
export function chainOf(name: string, configurations: ReadonlyMap<string, ShownConfiguration>): string[] {
  const { over } = configurations.get(name)!;
  return over === undefined ? [name] : [...chainOf(over, configurations), name];
}

/** Variables that stand without a default in what the pages show. */
export const SHOWN_VARIABLES: Readonly<Record<string, string>> = {
  S3_KEY: "minioadmin",
  S3_SECRET: "minioadmin",
  WEBHOOK_SECRET: "whsec_dGhlIHNlY3JldCBvZiBhIHdlYmhvb2s=",
};
