/** Which test files belong to which stage, and what they need. */

/** Folders below `tests/` whose tests need the real servers. */
export const STACK_SUITES = ["integration", "crash", "field"] as const;

const ROOT = new URL("../../", import.meta.url).pathname;

/** Test files of the unit stage: everything that needs no server. Sorted. */
export function unitTests(): string[] {
  const skip = new Set<string>(STACK_SUITES);
  const files: string[] = [];
  for (const entry of Deno.readDirSync(`${ROOT}tests`)) {
    if (entry.isDirectory && !skip.has(entry.name)) files.push(...testFiles(`tests/${entry.name}`));
    if (entry.isFile && entry.name.endsWith("_test.ts")) files.push(`tests/${entry.name}`);
  }
  return files.sort();
}

/**
 * The files that take longest, so that none of them is the last to begin; those that start servers of their own or many
 * processes at once stand apart, so that they do not run beside each other.
 */
const BEGIN_FIRST: readonly string[] = [
  "tests/crash/crash_test.ts",
  "tests/integration/pipeline/oracle_test.ts",
  "tests/integration/pipeline/eager_compaction_test.ts",
  "tests/integration/backup/import_restore_test.ts",
  "tests/integration/backup/restore_oracle_test.ts",
  "tests/integration/backup/create_test.ts",
  "tests/integration/backup/crash_test.ts",
  "tests/integration/backup/import_trouble_test.ts",
  "tests/integration/pipeline/pressure_test.ts",
  "tests/integration/backup/compaction_test.ts",
];

/**
 * Files that start all that they need by themselves: they run beside the others without a stack, which would only take their
 * time. One that is wrongly here says that there is no test stack.
 */
const OWN_SERVERS: ReadonlySet<string> = new Set([
  "tests/field/a_newcomer_installs_it_test.ts",
  "tests/integration/backup/compaction_test.ts",
  "tests/integration/backup/duckdb_test.ts",
  "tests/integration/deploy/alerts_test.ts",
  "tests/integration/deploy/linters_test.ts",
  "tests/integration/pipeline/eager_compaction_test.ts",
  "tests/integration/server/doors_test.ts",
  "tests/integration/server/notifications_test.ts",
  "tests/integration/server/openapi_test.ts",
  "tests/integration/server/page_test.ts",
  "tests/integration/server/sidecar_test.ts",
  "tests/integration/server/takeover_test.ts",
  "tests/integration/server/tasks_test.ts",
  "tests/integration/sinks/milvus_trouble_test.ts",
  "tests/integration/sources/log/kafka_test.ts",
  "tests/integration/sources/log/pulsar_login_test.ts",
  "tests/integration/sources/log/pulsar_test.ts",
  "tests/integration/sources/log/woodpecker_test.ts",
  "tests/integration/sources/meta/remembered_test.ts",
  "tests/integration/stores/age_test.ts",
  "tests/integration/stores/azure_identity_test.ts",
  "tests/integration/stores/azure_test.ts",
  "tests/integration/stores/cloud_rights_test.ts",
  "tests/integration/stores/customer_keys_test.ts",
  "tests/integration/stores/dead_letters_test.ts",
  "tests/integration/stores/etcd_test.ts",
  "tests/integration/stores/faults_test.ts",
  "tests/integration/stores/gcs_test.ts",
  "tests/integration/stores/proxies_test.ts",
  "tests/integration/stores/s3_rclone_test.ts",
  "tests/integration/stores/s3_rights_test.ts",
]);

export function hasOwnServers(file: string): boolean {
  return OWN_SERVERS.has(file);
}

/** Test files that need real servers, of `named` or all of the suites, in the order in which they should begin. */
export function suiteTests(suites: readonly (typeof STACK_SUITES[number])[], named?: readonly string[]): string[] {
  const files = named?.filter(needsStack) ?? suites.flatMap((suite) => testFiles(`tests/${suite}`));
  return files.sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
}

export function needsStack(file: string): boolean {
  return STACK_SUITES.some((suite) => file.startsWith(`tests/${suite}/`));
}

function rank(file: string): number {
  const place = BEGIN_FIRST.indexOf(file);
  return place === -1 ? BEGIN_FIRST.length : place;
}

/** Every TypeScript file of the project, for the type check. */
export function sourceFiles(): string[] {
  const folders = ["config", "control", "pipeline", "sinks", "sources", "stores", "tests"];
  const files = folders.flatMap((folder) => filesBelow(folder, ".ts"));
  return (exists("main.ts") ? ["main.ts", ...files] : files).sort();
}

/** Whether a path of the project exists. */
function exists(path: string): boolean {
  try {
    Deno.statSync(`${ROOT}${path}`);
    return true;
  } catch {
    return false;
  }
}

/** Test files below a folder, or the one that `path` is. */
export function testFiles(path: string): string[] {
  if (path.endsWith("_test.ts")) return exists(path) ? [path] : [];
  return filesBelow(path, "_test.ts");
}

/** Paths below a folder of the project, relative to the project, with this ending. */
export function filesBelow(folder: string, ending: string): string[] {
  const files: string[] = [];
  if (!exists(folder)) return files;
  for (const entry of Deno.readDirSync(`${ROOT}${folder}`)) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory && entry.name !== "node_modules") files.push(...filesBelow(path, ending));
    else if (entry.isFile && entry.name.endsWith(ending)) files.push(path);
  }
  return files.sort();
}
