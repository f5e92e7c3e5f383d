/** Every key of the configuration with type, default, limits and description, as Markdown: made from the specs. */
import { z } from "zod";
import { pipelineSpec } from "./schema.ts";
import { serverFileSpec } from "./server_spec.ts";

/** The page that holds it, as a URL of this source tree. */
export const REFERENCE_PAGE = new URL("../docs/configuration.md", import.meta.url);

/** The page of the server, which ends in the keys of `server.yaml`. */
export const SERVER_PAGE = new URL("../docs/server.md", import.meta.url);

/** What follows this line in the page is made by {@link configurationReference}. */
export const REFERENCE_BEGINS = "<!-- From here on made from the specs, by: deno task schema -->\n";

/** The part of a JSON Schema that is read here; `unit` is what sizes and durations say of themselves. */
interface Part {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly format?: string;
  readonly properties?: Readonly<Record<string, Part>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Part | boolean;
  readonly items?: Part;
  readonly oneOf?: readonly Part[];
  readonly anyOf?: readonly Part[];
  readonly secret?: boolean;
  readonly unit?: string;
  readonly least?: string;
  readonly most?: string;
}

/** One row of a table. */
interface Row {
  readonly key: string;
  readonly type: string;
  readonly fallback: string;
  readonly description: string;
}

/** A table of its own, for what has too many keys to stand among its parent's, or comes in several types. */
interface Section {
  readonly title: string;
  readonly intro: string;
  readonly rows: readonly Row[];
  /** Said below the table. */
  readonly notes: readonly string[];
}

/** What is being written while the keys of one map are walked through. */
interface Walk {
  readonly rows: Row[];
  readonly notes: string[];
  readonly further: Section[];
  /** Of the type that the map around has, where there are several. */
  readonly context: string;
}

/** A list of more words than this stands below its table. */
const LONGEST_LIST = 8;

/** The page `text` with its generated part made anew; undefined where the line that begins it is missing. */
export function withReference(text: string): string | undefined {
  return withGenerated(text, configurationReference);
}

/** As {@link withReference}, for {@link SERVER_PAGE}. */
export function withServerReference(text: string): string | undefined {
  return withGenerated(text, serverReference);
}

function withGenerated(text: string, make: () => string): string | undefined {
  const at = text.indexOf(REFERENCE_BEGINS);
  return at === -1 ? undefined : text.slice(0, at + REFERENCE_BEGINS.length) + "\n" + make();
}

/** Every key of `server.yaml`; those that a pipeline has as well stand on its page. */
function serverReference(): string {
  const schema = z.toJSONSchema(serverFileSpec, { target: "draft-7", io: "input", unrepresentable: "any" }) as Part;
  const elsewhere = ({ description }: Part): Part => ({
    type: "object",
    description: `${description}; its keys are those of a pipeline: [Configuration](configuration.md#every-key)`,
  });
  const { state, cdc, ...own } = schema.properties!;
  const { sources, ...rest } = cdc!.properties!;
  const properties: Record<string, Part> = {
    ...own,
    state: elsewhere(state!),
    cdc: { ...cdc!, properties: { sources: elsewhere(sources!), ...rest } },
  };
  const sections = sectionsOf("server.yaml", "The keys of the file itself.", { ...schema, properties }, "", "");
  return ["## Every key", ...sections.flatMap(printed)].join("\n\n") + "\n";
}

/** A heading for the top level, one for each component and its types; tables that the formatter leaves as they are. */
export function configurationReference(): string {
  const schema = z.toJSONSchema(pipelineSpec, { target: "draft-7", io: "input", unrepresentable: "any" }) as Part;
  const sections = sectionsOf("Top level", "The keys of the file itself.", schema, "", "");
  return ["## Every key", ...sections.flatMap(printed)].join("\n\n") + "\n";
}

/** The section of one map of keys, and after it those of the maps inside it that have types to choose from. */
function sectionsOf(title: string, intro: string, part: Part, path: string, context: string): Section[] {
  const walk: Walk = { rows: [], notes: [], further: [], context };
  collect(part, "", path, walk);
  return [{ title, intro, rows: walk.rows, notes: walk.notes }, ...walk.further];
}

/** Adds the keys of `part` to the rows, those of a nested map as `outer.inner`. */
function collect(part: Part, prefix: string, path: string, walk: Walk): void {
  for (const [name, value] of Object.entries(part.properties ?? {})) {
    const key = `${prefix}${name}`;
    const full = path === "" ? key : `${path}.${key}`;
    const required = part.required?.includes(name) === true;
    const words = value.type === "array" ? value.items?.enum : value.enum;
    if (words !== undefined && words.length > LONGEST_LIST) {
      walk.notes.push(`${code(key)}: ${words.map(code).join(", ")}.`);
    }
    walk.rows.push({
      key: code(key),
      type: typeText(value),
      fallback: required ? "required" : fallbackText(value),
      description: value.description ?? "",
    });
    // Every secret can come from a file; a component that reads it again at each login has a key of its own for it.
    if (value.secret === true && part.properties?.[`${name}_file`] === undefined) {
      walk.rows.push({ key: code(`${key}_file`), type: "text", fallback: "", description: "File that holds it" });
    }
    const mapped = typeof value.additionalProperties === "object" ? value.additionalProperties : undefined;
    const inner = mapped ?? (value.type === "array" && value.items?.properties !== undefined ? value.items : value);
    const choices = optionsOf(inner);
    const place = mapped !== undefined ? `${full}.<name>` : inner === value ? full : `${full}[]`;
    if (choices !== undefined) {
      const several = choices.length > 1;
      walk.further.push(
        ...choices.flatMap((choice) => choiceSections(`${code(place)}${walk.context}`, place, choice, several)),
      );
    } else if (inner === value) collect(value, `${key}.`, path, walk);
    else collect(inner, mapped === undefined ? `${key}[].` : `${key}.<name>.`, path, walk);
  }
}

/** The types of something that comes in several, or in one that is named. */
function optionsOf(part: Part): readonly Part[] | undefined {
  const options = part.oneOf ?? part.anyOf;
  return options?.every((option) => option.properties?.type?.const !== undefined) ? options : undefined;
}

function choiceSections(title: string, place: string, choice: Part, several: boolean): Section[] {
  const type = choice.properties!.type!;
  const context = several ? ` of ${type.const}` : "";
  return sectionsOf(`${title}: ${type.const}`, `${type.description}.`, choice, place, context);
}

function typeText(part: Part): string {
  const limits = [
    ...(part.least === undefined ? [] : [`at least ${part.least}`]),
    ...(part.most === undefined ? [] : [`at most ${part.most}`]),
  ];
  if (part.unit !== undefined) return [part.unit, ...limits].join(", ");
  if (part.const !== undefined) return code(part.const);
  if (part.enum !== undefined) return wordsText(part.enum);
  if (part.type === "array") return listText(part.items);
  if (part.type === "integer" || part.type === "number") {
    const from = part.minimum ?? Number.MIN_SAFE_INTEGER;
    const to = part.maximum ?? Number.MAX_SAFE_INTEGER;
    const low = from > Number.MIN_SAFE_INTEGER;
    const high = to < Number.MAX_SAFE_INTEGER;
    return low && high ? `number, ${from} to ${to}` : low ? `number, at least ${from}` : "number";
  }
  if (part.type === "object" || optionsOf(part) !== undefined) return "map";
  if (part.type === "string") {
    return `${part.format === "uri" ? "URL" : "text"}${part.secret === true ? ", secret" : ""}`;
  }
  if (part.type === "boolean") return "`true`, `false`";
  return (part.anyOf ?? []).map(typeText).join(" or ");
}

function wordsText(words: readonly unknown[]): string {
  return words.length > LONGEST_LIST ? "words below" : words.map(code).join(", ");
}

function listText(items: Part | undefined): string {
  if (items?.enum !== undefined) return `list of ${wordsText(items.enum)}`;
  return items?.type === "object" ? "list of maps" : "list of text";
}

/** An empty map as a default says no more than that the key may be left out. */
function fallbackText(part: Part): string {
  if (part.default === undefined) return "";
  const text = JSON.stringify(part.default);
  return text === "{}" ? "" : code(typeof part.default === "string" ? part.default : text);
}

function code(value: unknown): string {
  const text = String(value);
  return text === "" ? '`""`' : `\`${text}\``;
}

const LINE_WIDTH = 120;
const COLUMNS = ["key", "type", "default", "what it is"] as const;

function printed({ title, intro, rows, notes }: Section): string[] {
  return [`### ${title}`, ...[intro].map(wrapped), table(rows), ...notes.map(wrapped)];
}

/** Lines as long as the formatter makes them. */
function wrapped(text: string): string {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= LINE_WIDTH) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines.join("\n");
}

/** Columns as wide as their longest cell, which is how the formatter wants them. */
function table(rows: readonly Row[]): string {
  const cells = rows.map((row) => [row.key, row.type, row.fallback, row.description].map(escaped));
  const widths = COLUMNS.map((column, at) => Math.max(column.length, ...cells.map((row) => row[at]!.length)));
  const line = (row: readonly string[]) => `| ${row.map((cell, at) => cell.padEnd(widths[at]!)).join(" | ")} |`;
  return [line(COLUMNS), line(widths.map((width) => "-".repeat(width))), ...cells.map(line)].join("\n");
}

/** Text in a cell: a bar would end it, and < or * or _ would be taken for Markdown outside of code. */
function escaped(text: string): string {
  return text.split(/(`[^`]*`)/).map((piece) => piece.startsWith("`") ? piece : piece.replaceAll(/[<*]/g, "\\$&"))
    .join("").replaceAll("|", "\\|");
}
