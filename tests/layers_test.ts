/** The house rules that a machine can check: who imports whom, what files are called, what is pinned. */
import assert from "node:assert/strict";
import { filesBelow, sourceFiles } from "./runner/suites.ts";

const ROOT = new URL("../", import.meta.url).pathname;

/** From the top down: a file imports from its own layer or from one further down. `sources` and `sinks` share a floor. */
const LAYERS = [["main.ts"], ["control"], ["config"], ["sources", "sinks"], ["stores"], ["pipeline"]];

/** The rooms of the flow, from the top down: a file imports from its own room or from one further down. */
const ROOMS = [["run"], ["archive"], ["rows", "verify"], ["base"], ["imports"], ["refusals"], ["tail"], ["state"]];

/**
 * Files that are entered without a `mod.ts`: of the core, and what is read of a configuration or a state by commands that
 * run nothing, which are to start without the components and their clients.
 */
const OPEN = [
  /^pipeline\/(abortable|errors|json|leave|pause|waits)\.ts$/,
  /^pipeline\/proto\/gen\//,
  /\/spec\.ts$/,
  /^pipeline\/transforms\/(glob|route)\.ts$/,
  /^pipeline\/flow\/state\/(run_state|crash_points)\.ts$/,
  /^stores\/backup\/layout\.ts$/,
];

/** Each dependency has one adapter file; these have a reason for more. */
const SHARED_DEPENDENCIES: Record<string, RegExp> = {
  /** The spec of every component stands next to it. */
  "zod": /^(config\/|pipeline\/units\/|(sources|sinks|stores|pipeline)\/.*spec\.ts$)/,
  /** The runtime of the generated code. */
  "@bufbuild/protobuf": /./,
  "rxjs": /^pipeline\/flow\//,
  "commander": /^control\//,
};

/** Files over 400 lines, each with its reason. */
const LONG: Record<string, string> = {
  "stores/etcd/client.ts": "every call of the one etcd client",
  "stores/objects/azure.ts": "every call of the one Azure client",
  "stores/objects/s3.ts": "every call of the one S3 client",
  "stores/parquet.ts": "the page decoder and its few encodings",
};

interface Import {
  from: string;
  /** Path inside the project, or the name as written for a package. */
  to: string;
}

const product = sourceFiles().filter((path) => !path.startsWith("tests/") && !path.startsWith("pipeline/proto/"));

function read(path: string): string {
  return Deno.readTextFileSync(`${ROOT}${path}`);
}

function importsOf(path: string): Import[] {
  const statement = /^\s*(?:import|export)\b(?:[^;"]*?\bfrom)?\s*"([^"]+)"|\bimport\(\s*"([^"]+)"\s*\)/gm;
  return [...read(path).matchAll(statement)].map((match) => {
    const name = match[1] ?? match[2]!;
    const url = new URL(name, `file:///${path}`);
    return { from: path, to: name.startsWith(".") ? url.pathname.slice(1) : name };
  });
}

const imports = product.flatMap(importsOf);
const inside = imports.filter(({ to }) => LAYERS.flat().includes(to.split("/")[0]!));

function layer(path: string): number {
  return LAYERS.findIndex((names) => names.includes(path.split("/")[0]!));
}

function shown(found: readonly Import[]): string {
  return found.map(({ from, to }) => `\n  ${from} imports ${to}`).join("");
}

Deno.test("layers: imports go one way, main -> control -> config -> sources and sinks -> stores -> pipeline", () => {
  const wrong = inside.filter(({ from, to }) => {
    const [a, b] = [from.split("/")[0], to.split("/")[0]];
    return layer(to) < layer(from) || (layer(to) === layer(from) && a !== b);
  });
  assert.equal(wrong.length, 0, `These imports go against the layers:${shown(wrong)}`);
});

Deno.test("layers: another folder is entered through its mod.ts", () => {
  const wrong = inside.filter(({ from, to }) => {
    const [a, b] = [from.split("/")[0], to.split("/")[0]];
    return a !== b && !to.endsWith("/mod.ts") && !OPEN.some((open) => open.test(to));
  });
  assert.equal(wrong.length, 0, `These imports go past the door of a folder:${shown(wrong)}`);
});

/** The room of the flow that a file stands in; undefined outside, and for the few files beside the rooms. */
function room(path: string): string | undefined {
  return /^pipeline\/flow\/(\w+)\//.exec(path)?.[1];
}

Deno.test("rooms: every room of the flow is known, and imports go down: run -> archive -> rows, verify -> base -> imports -> refusals -> tail -> state", () => {
  const floor = (name: string) => ROOMS.findIndex((names) => names.includes(name));
  const strangers = product.filter((path) => room(path) !== undefined && floor(room(path)!) === -1);
  assert.deepEqual(strangers, [], `Expected one of the rooms ${ROOMS.flat().join(", ")}`);
  const wrong = imports.filter(({ from, to }) => {
    const [a, b] = [room(from), room(to)];
    return a !== undefined && b !== undefined && a !== b && floor(b) <= floor(a);
  });
  assert.equal(wrong.length, 0, `These imports go up between the rooms of pipeline/flow:${shown(wrong)}`);
});

Deno.test("rooms: a room of the flow is entered through its mod.ts", () => {
  const wrong = imports.filter(({ from, to }) =>
    from.startsWith("pipeline/flow/") && room(to) !== undefined && room(from) !== room(to) && !to.endsWith("/mod.ts") &&
    !OPEN.some((open) => open.test(to))
  );
  assert.equal(wrong.length, 0, `These imports go past the door of a room:${shown(wrong)}`);
});

Deno.test("circles: no files import each other in a circle, types included", () => {
  const circles = circlesOf(Map.groupBy(inside.filter(({ to }) => product.includes(to)), ({ from }) => from));
  const text = circles.map((circle) => `\n  ${[...circle, circle[0]!].join("\n    -> ")}`).join("");
  assert.deepEqual(circles, [], `These files import each other; the last import of each closes the circle:${text}`);
});

/** One circle for each import that closes one, as the files along it. */
function circlesOf(graph: ReadonlyMap<string, readonly Import[]>): string[][] {
  const circles: string[][] = [];
  const done = new Set<string>();
  const way: string[] = [];
  const walk = (file: string) => {
    way.push(file);
    for (const { to } of graph.get(file) ?? []) {
      if (way.includes(to)) circles.push(way.slice(way.indexOf(to)));
      else if (!done.has(to)) walk(to);
    }
    way.pop();
    done.add(file);
  };
  for (const file of graph.keys()) if (!done.has(file)) walk(file);
  return circles;
}

Deno.test("circlesOf finds a circle, names the files along it, and none in a diamond", () => {
  const graph = (arrows: readonly [string, string][]) =>
    Map.groupBy(arrows.map(([from, to]) => ({ from, to })), ({ from }) => from);
  assert.deepEqual(circlesOf(graph([["a", "b"], ["b", "c"], ["c", "b"]])), [["b", "c"]]);
  assert.deepEqual(circlesOf(graph([["a", "b"], ["a", "c"], ["b", "d"], ["c", "d"]])), []);
});

Deno.test("layers: the product imports nothing from tests", () => {
  const wrong = imports.filter(({ to }) => to.startsWith("tests/"));
  assert.equal(wrong.length, 0, shown(wrong));
});

Deno.test("dependencies: each is imported by one adapter file", () => {
  const adapters = new Map<string, Set<string>>();
  const wrong: Import[] = [];
  for (const { from, to } of imports) {
    const name = /^(@[^/]+\/[^/]+|[^./@][^/]*)/.exec(to)?.[1];
    if (name === undefined || to.startsWith("node:") || inside.some((own) => own.to === to)) continue;
    const shared = SHARED_DEPENDENCIES[name];
    if (shared === undefined) adapters.set(name, (adapters.get(name) ?? new Set()).add(from));
    else if (!shared.test(from)) wrong.push({ from, to });
  }
  for (const [name, files] of adapters) {
    if (files.size > 1) wrong.push(...[...files].map((from) => ({ from, to: name })));
  }
  assert.equal(wrong.length, 0, `Only the adapter of a dependency imports it:${shown(wrong)}`);
});

Deno.test("dependencies: every version in deno.json is pinned exactly, and nothing is imported past it", () => {
  const known = JSON.parse(read("deno.json")).imports as Record<string, string>;
  const loose = Object.entries(known).filter(([, to]) => !/^npm:\/?(@[\w.-]+\/)?[\w.-]+@\d+\.\d+\.\d+\/?$/.test(to));
  assert.deepEqual(loose, [], "Expected npm:NAME@MAJOR.MINOR.PATCH");
  const direct = [...imports, ...filesBelow("tests", ".ts").flatMap(importsOf)]
    .filter(({ to }) => /^(npm|jsr|https?):/.test(to));
  assert.equal(direct.length, 0, `These imports bypass deno.json:${shown(direct)}`);
});

Deno.test("files: main.ts stays under 60 lines", () => {
  const lines = read("main.ts").split("\n").length;
  assert.ok(lines < 60, `main.ts has ${lines} lines`);
});

Deno.test("files: no name says nothing", () => {
  const names = [...product, ...filesBelow("tests", ".ts")];
  const empty = names.filter((path) => /(^|\/)(utils?|helpers?|common|misc|types)(\.ts$|\/)/.test(path));
  assert.deepEqual(empty, []);
});

Deno.test("files: none over 400 lines without a reason", () => {
  const long = product.filter((path) => read(path).split("\n").length > 401 && !LONG[path]);
  assert.deepEqual(long, []);
});

Deno.test("code: no enum, no default export, no console, nothing left behind", () => {
  const rules: [string, RegExp][] = [
    ["an enum", /^\s*(export\s+)?(const\s+)?enum\s/m],
    ["a default export", /^\s*export\s+default\b/m],
    ["console output", /\bconsole\.\w+\(/],
    ["a debugger statement", /^\s*debugger;/m],
    ["an unfinished note", /\b(TODO|FIXME|XXX)\b/],
    ["a path of one machine", /["'`](\/home\/|\/root\/|\/work\/|\/Users\/)/],
  ];
  const found = product.flatMap((path) => {
    const text = read(path);
    return rules.filter(([, rule]) => rule.test(text)).map(([what]) => `${path} has ${what}`);
  });
  assert.deepEqual(found, []);
});

Deno.test("code: the core does no input or output of its own", () => {
  const core = product.filter((path) => path.startsWith("pipeline/"));
  const found = core.filter((path) =>
    /^[^*/]*\bDeno\.(?!inspect)\w+|from "node:(fs|net|http|child_process)/m.test(read(path))
  );
  assert.deepEqual(found, []);
});

Deno.test("tests: none is run alone by a forgotten only", () => {
  const files = filesBelow("tests", "_test.ts").filter((path) => path !== "tests/layers_test.ts");
  const found = files.filter((path) => /\bDeno\.test\.only\b|\bonly:\s*true/.test(read(path)));
  assert.deepEqual(found, []);
});
