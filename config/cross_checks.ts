/** What the keys of a configuration must be to each other; a schema of single keys cannot say it. */
import { type ConfigNode, keyPosition, nodeAt, plainValue, valuePosition } from "./document.ts";
import { pathText } from "./messages.ts";
import { globProblem } from "../pipeline/transforms/glob.ts";
import { routeProblem } from "../pipeline/transforms/route.ts";
import type { Problem } from "./problem.ts";

/**
 * Works on the document, not on the checked value, so that these problems come together with all others: it says nothing
 * of what is missing or of a wrong type.
 */
export function crossCheck(root: ConfigNode): Problem[] {
  return [
    ...sources(root),
    ...sinks(root),
    ...patterns(root),
    ...routes(root),
    ...ddl(root),
    ...badRows(root),
    ...limits(root),
  ];
}

/** A state in etcd has no folder beside it. */
function badRows(root: ConfigNode): Problem[] {
  const path = ["transforms", "bad_rows"];
  if (text(root, path) !== "dead_letter" || text(root, ["state", "type"]) !== "etcd") return [];
  if (nodeAt(root, ["transforms", "dead_letters"]) !== undefined) return [];
  return [atValue(
    root,
    path,
    "`bad_rows: dead_letter` needs `dead_letters`, a folder: a state in etcd has none beside it",
  )];
}

type Path = readonly PropertyKey[];

function atValue(root: ConfigNode, path: Path, message: string): Problem {
  return { at: valuePosition(root, path), message };
}

function text(root: ConfigNode, path: Path): string | undefined {
  const node = nodeAt(root, path);
  return node?.kind === "scalar" && typeof node.value === "string" ? node.value : undefined;
}

function isFalse(root: ConfigNode, path: Path): boolean {
  const node = nodeAt(root, path);
  return node !== undefined && plainValue(node) === false;
}

function keys(root: ConfigNode, path: Path): string[] {
  const node = nodeAt(root, path);
  return node?.kind === "map" ? [...node.entries.keys()] : [];
}

function items(root: ConfigNode, path: Path): readonly ConfigNode[] {
  const node = nodeAt(root, path);
  return node?.kind === "list" ? node.items : [];
}

/** Logs that no archive can keep. */
const UNARCHIVED: Readonly<Record<string, string>> = {
  files: "files, so there is no log",
  milvus: "milvus, which gives no time ticks, so there is no whole log",
};

const LIVE = ["meta", "log", "binlogs"] as const;

function sources(root: ConfigNode): Problem[] {
  const given = keys(root, ["sources"]);
  if (nodeAt(root, ["sources"])?.kind !== "map") return [];
  const live = LIVE.filter((key) => given.includes(key));
  if (given.includes("backup")) {
    return live.map((key) => ({
      at: keyPosition(root, ["sources", key]),
      message:
        `\`${key}\` beside \`backup\` in \`sources\`: a restore reads one backup and nothing else, a copy reads meta, log and binlogs; remove one`,
    }));
  }
  const missing = LIVE.filter((key) => !given.includes(key));
  if (missing.length === 0) return [];
  return [{
    at: keyPosition(root, ["sources"]),
    message: `Missing ${
      missing.map((key) => `\`${key}\``).join(", ")
    } in \`sources\`: a running Milvus is read from meta, log and binlogs (or give \`backup\` alone to restore one)`,
  }];
}

function sinks(root: ConfigNode): Problem[] {
  const problems: Problem[] = [];
  const node = nodeAt(root, ["sinks"]);
  const names = keys(root, ["sinks"]);
  if (node?.kind === "map" && names.length === 0) {
    problems.push({
      at: keyPosition(root, ["sinks"]),
      message: "No sink: expected at least one name with { type: milvus, … } or { type: backup, … }",
    });
  }
  const restore = keys(root, ["sources"]).includes("backup");
  const seen = new Map<string, string>();
  for (const name of names) {
    const path = ["sinks", name];
    const type = text(root, [...path, "type"]);
    if (restore && type === "backup") {
      problems.push(
        atValue(root, [...path, "type"], `A restore cannot go into a backup (sink \`${name}\`): expected \`milvus\``),
      );
    }
    if (!restore && type === "milvus" && text(root, [...path, "restore_by"]) === "import") {
      problems.push(
        atValue(
          root,
          [...path, "restore_by"],
          `\`restore_by: import\` is for a restore (\`sources: { backup: … }\`); a running Milvus is copied by rows: remove it, or write \`auto\``,
        ),
      );
    }
    const why = UNARCHIVED[text(root, ["sources", "log", "type"]) ?? ""];
    if (type === "backup" && why !== undefined && !isFalse(root, [...path, "log_archive"])) {
      problems.push(
        atValue(
          root,
          [...path, "type"],
          `\`sources.log\` is of type ${why} for sink \`${name}\` to keep: write \`log_archive: false\``,
        ),
      );
    }
    const place = placeOf(root, path, type);
    if (place === undefined) continue;
    const other = seen.get(place);
    if (other === undefined) seen.set(place, name);
    else {
      problems.push({
        at: keyPosition(root, path),
        message:
          `The sinks \`${other}\` and \`${name}\` write to the same place: they would overwrite each other's rows`,
      });
    }
  }
  return problems;
}

/** What makes two sinks the same one; undefined where the document does not say enough. */
function placeOf(root: ConfigNode, path: Path, type: string | undefined): string | undefined {
  if (type === "milvus") {
    const address = text(root, [...path, "address"]);
    return address === undefined
      ? undefined
      : `milvus ${address.toLowerCase().replace(/^[a-z]+:\/\//, "").replace(/\/+$/, "")}`;
  }
  const storage = nodeAt(root, [...path, "storage"]);
  if (type !== "backup" || storage?.kind !== "map") return undefined;
  const part = (key: string) => text(root, [...path, "storage", key]) ?? "";
  const place = ["type", "endpoint", "account", "bucket", "container", "path", "prefix"].map(part);
  return ["backup", text(root, [...path, "name"]) ?? "", ...place].join(" ");
}

/** As the transform says it, with a guess where only the database's or the collection's name was given. */
function patternFault(pattern: string): string | undefined {
  const problem = globProblem(pattern);
  if (problem === undefined) return undefined;
  return /^[\w*?$-]+$/.test(pattern)
    ? `${problem}; did you mean "${pattern}.*" (a whole database) or "default.${pattern}"?`
    : problem;
}

function patterns(root: ConfigNode): Problem[] {
  const problems: Problem[] = [];
  for (const list of ["include", "exclude"]) {
    const path = ["transforms", "select", list];
    items(root, path).forEach((_, index) => {
      const pattern = text(root, [...path, index]);
      const fault = pattern === undefined ? undefined : patternFault(pattern);
      if (fault !== undefined) {
        problems.push(atValue(root, [...path, index], fault));
      }
    });
  }
  return problems;
}

function routes(root: ConfigNode): Problem[] {
  const problems: Problem[] = [];
  const base = ["transforms", "route"];
  const rules = items(root, base).map((_, index) => ({
    index,
    from: text(root, [...base, index, "from"]),
    to: text(root, [...base, index, "to"]),
  }));
  for (const { index, from, to } of rules) {
    const path = [...base, index];
    const faults = { from: from && patternFault(from), to: to && patternFault(to) };
    if (faults.from) {
      problems.push(atValue(root, [...path, "from"], faults.from));
    }
    if (faults.to) problems.push(atValue(root, [...path, "to"], faults.to));
    if (from === undefined || to === undefined || faults.from || faults.to) continue;
    problems.push(...routeFaults(root, path, from, to));
    const earlier = rules.slice(0, index).find((rule) => rule.from !== undefined && covers(rule.from, from));
    if (earlier !== undefined) {
      problems.push(
        atValue(
          root,
          [...path, "from"],
          `This rule is never reached: ${
            pathText([...base, earlier.index])
          } (${earlier.from}) matches first; put the narrower rule before it`,
        ),
      );
    }
    const sameTarget = rules.slice(0, index).find((rule) => rule.to === to && !to.includes("*") && rule.from !== from);
    if (sameTarget !== undefined) {
      problems.push(
        atValue(
          root,
          [...path, "to"],
          `${from} and ${sameTarget.from} both go to ${to}: two collections cannot become one`,
        ),
      );
    }
  }
  return problems;
}

function routeFaults(root: ConfigNode, path: Path, from: string, to: string): Problem[] {
  const problem = routeProblem({ from, to });
  if (problem !== undefined) return [atValue(root, [...path, "to"], problem)];
  const [fromDb, fromName] = from.split(".") as [string, string];
  const [toDb, toName] = to.split(".") as [string, string];
  if (/[*?]/.test(fromName) && !toName.includes("*")) {
    return [
      atValue(
        root,
        [...path, "to"],
        `${from} may be many collections, ${
          JSON.stringify(to)
        } is one name: write * where the collection's name goes, such as \`${toDb}.*\``,
      ),
    ];
  }
  if (/[*?]/.test(fromDb) && !to.includes("*")) {
    return [
      atValue(root, [...path, "to"], `${from} may be collections of many databases, ${JSON.stringify(to)} is one name`),
    ];
  }
  return [];
}

/** Whether every name that `narrow` matches is matched by `wide`. `*` of `narrow` is covered only by `*`. */
export function covers(wide: string, narrow: string): boolean {
  const parts = wide.split(".");
  const others = narrow.split(".");
  return parts.length === others.length && parts.every((part, index) => {
    const pattern = part.split("").map((char) =>
      char === "*" ? ".*" : char === "?" ? "[^*]" : char.replace(/[$]/, "\\$&")
    );
    return new RegExp(`^${pattern.join("")}$`).test(others[index]!);
  });
}

function ddl(root: ConfigNode): Problem[] {
  const base = ["transforms", "ddl"];
  const included = new Set(items(root, [...base, "include"]).map((item) => plainValue(item)));
  return items(root, [...base, "exclude"]).flatMap((item, index) =>
    included.has(plainValue(item))
      ? [
        atValue(
          root,
          [...base, "exclude", index],
          `\`${String(plainValue(item))}\` is in both include and exclude: keep one`,
        ),
      ]
      : []
  );
}

function limits(root: ConfigNode): Problem[] {
  const state = nodeAt(root, ["state"]);
  // The most frequent slip: the folder given where the component is expected.
  if (state?.kind === "scalar" && typeof state.value === "string") {
    return [atValue(root, ["state"], `To keep the state in a folder, write { type: file, path: ${state.value} }`)];
  }
  return [];
}
