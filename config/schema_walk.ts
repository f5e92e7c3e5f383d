/** Questions to a zod schema that validation itself does not answer: which keys, which secrets, what description. */
import type { z } from "zod";
import type { ConfigNode } from "./document.ts";

/** What `.meta()` of a component's spec may say. */
export interface FieldMeta {
  readonly description?: string;
  /** The value must never be shown. Its key may also be given as `<key>_file`. */
  readonly secret?: boolean;
}

type Schema = z.core.$ZodType;
/** The parts of zod's definitions that are read here. */
interface Definition {
  readonly type: string;
  readonly innerType?: Schema;
  readonly in?: Schema;
  readonly getter?: () => Schema;
  readonly shape?: Readonly<Record<string, Schema>>;
  readonly valueType?: Schema;
  readonly element?: Schema;
  readonly options?: readonly Schema[];
  readonly discriminator?: string;
  readonly values?: readonly unknown[];
  readonly entries?: Readonly<Record<string, string | number>>;
}

function definition(schema: Schema): Definition {
  return schema._zod.def as unknown as Definition;
}

export interface Unwrapped {
  readonly schema: Schema;
  readonly meta: FieldMeta;
  /** May be left out. */
  readonly optional: boolean;
}

/** Looks through optional, default, pipe, lazy, … to the schema that says what the value is. */
export function unwrap(schema: Schema): Unwrapped {
  let meta: FieldMeta = {};
  let optional = false;
  let current = schema;
  for (;;) {
    const own = (current as { meta?: () => FieldMeta | undefined }).meta?.() ?? {};
    meta = { ...own, ...meta };
    const def = definition(current);
    if (def.type === "optional" || def.type === "default" || def.type === "prefault") optional = true;
    const inner = def.type === "lazy" ? def.getter?.() : def.type === "pipe" ? def.in : def.innerType;
    if (inner === undefined) return { schema: current, meta, optional };
    current = inner;
  }
}

/** Keys and their schemas if `schema` is an object, undefined otherwise. */
export function shapeOf(schema: Schema): Readonly<Record<string, Schema>> | undefined {
  const def = definition(unwrap(schema).schema);
  return def.type === "object" ? def.shape : undefined;
}

/** Words that an enum or literal allows. */
export function allowedValues(schema: Schema): readonly string[] | undefined {
  const def = definition(unwrap(schema).schema);
  if (def.type === "enum") return Object.values(def.entries ?? {}).map(String);
  if (def.type === "literal") return (def.values ?? []).map(String);
  return undefined;
}

/** True if the schema takes the word as it is. */
export function takesBoolean(schema: Schema): boolean {
  return definition(unwrap(schema).schema).type === "boolean";
}

/**
 * Of a union, the option that `node` was meant to be: by its discriminator, else by its kind and the keys it shares.
 * Any other schema is its own answer; undefined where no option fits.
 */
export function chooseOption(schema: Schema, node: ConfigNode | undefined): Schema | undefined {
  const { schema: bare } = unwrap(schema);
  const def = definition(bare);
  if (def.type !== "union" || def.options === undefined) return bare;
  if (node?.kind !== "map") {
    return def.options.map((option) => chooseOption(option, node)).find((option) =>
      option !== undefined && kindOf(option) === node?.kind
    );
  }
  const objects = def.options
    .map((option) => chooseOption(option, node))
    .filter((option): option is Schema => option !== undefined && kindOf(option) === "map");
  if (def.discriminator !== undefined) {
    const given = node.entries.get(def.discriminator)?.value;
    if (given?.kind !== "scalar") return undefined;
    return objects.find((option) => {
      const key = shapeOf(option)?.[def.discriminator!];
      return key !== undefined && allowedValues(key)?.includes(String(given.value));
    });
  }
  const shared = (option: Schema) => [...node.entries.keys()].filter((key) => key in (shapeOf(option) ?? {})).length;
  return objects.sort((a, b) => shared(b) - shared(a))[0];
}

function kindOf(schema: Schema): ConfigNode["kind"] {
  const { type } = definition(unwrap(schema).schema);
  if (type === "object" || type === "record") return "map";
  return type === "array" || type === "tuple" ? "list" : "scalar";
}

/** The schema of a child, chosen by what the document has there; undefined for an unknown key. */
export function childSchema(schema: Schema, node: ConfigNode | undefined, step: PropertyKey): Schema | undefined {
  const option = chooseOption(schema, node);
  if (option === undefined) return undefined;
  const def = definition(option);
  if (def.type === "object") return def.shape?.[String(step)];
  if (def.type === "record") return def.valueType;
  if (def.type === "array") return def.element;
  return undefined;
}

/** The schema at `path` of a document. */
export function schemaAt(schema: Schema, root: ConfigNode, path: readonly PropertyKey[]): Schema | undefined {
  let current: Schema | undefined = schema;
  let node: ConfigNode | undefined = root;
  for (const step of path) {
    if (current === undefined) return undefined;
    current = childSchema(current, node, step);
    node = node?.kind === "map"
      ? node.entries.get(String(step))?.value
      : node?.kind === "list" && typeof step === "number"
      ? node.items[step]
      : undefined;
  }
  return current;
}

/** Whether a value at `path` must not be shown: it, or something around it, is marked secret. */
export function isSecretAt(schema: Schema, root: ConfigNode, path: readonly PropertyKey[]): boolean {
  for (let length = 1; length <= path.length; length++) {
    const at = schemaAt(schema, root, path.slice(0, length));
    if (at !== undefined && unwrap(at).meta.secret === true) return true;
  }
  return false;
}

/** Keys that a map may have at this place, `…_file` forms of secrets included. */
export function allowedKeys(schema: Schema): string[] {
  const shape = shapeOf(schema) ?? {};
  return Object.keys(shape).flatMap((key) =>
    unwrap(shape[key]!).meta.secret === true && !(`${key}_file` in shape) ? [key, `${key}_file`] : [key]
  );
}

/** Calls `visit` for every node that the schema knows, parents first. */
export function walk(
  schema: Schema,
  node: ConfigNode,
  visit: (node: ConfigNode, schema: Schema, path: readonly PropertyKey[]) => void,
  path: readonly PropertyKey[] = [],
): void {
  visit(node, schema, path);
  if (node.kind === "map") {
    for (const [key, entry] of node.entries) {
      const child = childSchema(schema, node, key);
      if (child !== undefined) walk(child, entry.value, visit, [...path, key]);
    }
  } else if (node.kind === "list") {
    node.items.forEach((item, index) => {
      const child = childSchema(schema, node, index);
      if (child !== undefined) walk(child, item, visit, [...path, index]);
    });
  }
}
