/** Azurite, the emulator of Azure Blob Storage: a server of a test's own, with its data in memory. */
import { BlobServiceClient, StorageSharedKeyCredential } from "@azure/storage-blob";
import { installOnce } from "./cache.ts";
import { runCommand } from "./command.ts";
import { isReady } from "./component.ts";
import { eventually } from "./eventually.ts";
import { freePort } from "./free_port.ts";
import { VERSIONS } from "./versions.ts";

/** Azurite's own account, which every Azurite has. */
export const AZURITE_ACCOUNT = "devstoreaccount1";
export const AZURITE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

export interface Azurite extends AsyncDisposable {
  /** URL of the blob service of {@link AZURITE_ACCOUNT}. */
  readonly endpoint: string;
  /** `http://host:port`, without an account. */
  readonly origin: string;
  /** Of {@link AZURITE_ACCOUNT}. */
  createContainer(name: string): Promise<void>;
}

export interface AzuriteOptions {
  /** More accounts, each with its key. */
  readonly accounts?: Readonly<Record<string, string>>;
  /** Takes headers that it does not know, such as those of customers' keys. */
  readonly loose?: boolean;
  /** Takes the account from a host name, `ACCOUNT.blob.…`, too, as the service does. */
  readonly accountInHost?: boolean;
  /** Folder with server.pem and server-key.pem: https, and tokens of Entra ID are taken as they come. */
  readonly tlsDir?: string;
}

export async function installAzurite(log: (line: string) => void = () => {}, signal?: AbortSignal): Promise<string> {
  const version = VERSIONS.azurite;
  const dir = await installOnce(`azurite-${version}`, version, async (dir) => {
    log(`install Azurite ${version} (npm)`);
    const args = ["install", "--prefix", dir, "--no-audit", "--no-fund", "--no-save", "--silent", "--ignore-scripts"];
    await runCommand("npm", [...args, `azurite@${version}`], {
      purpose: `Installing Azurite ${version}`,
      log: `${dir}.log`,
      missing: "Install Node 22 or newer with npm (Debian: apt-get install nodejs npm).",
      ...(signal === undefined ? {} : { signal }),
    });
  });
  return `${dir}/node_modules/azurite/dist/src/blob/main.js`;
}

export async function startAzurite(options: AzuriteOptions = {}): Promise<Azurite> {
  const program = await installAzurite();
  const port = freePort();
  const accounts = { [AZURITE_ACCOUNT]: AZURITE_KEY, ...options.accounts };
  const dir = options.tlsDir;
  const child = new Deno.Command("node", {
    args: [
      program,
      ...["--blobHost", "127.0.0.1", "--blobPort", String(port), "--inMemoryPersistence", "--silent"],
      ...["--skipApiVersionCheck", "--disableTelemetry"],
      ...(options.accountInHost ? [] : ["--disableProductStyleUrl"]),
      ...(options.loose ? ["--loose"] : []),
      ...(dir === undefined
        ? []
        : ["--cert", `${dir}/server.pem`, "--key", `${dir}/server-key.pem`, "--oauth", "basic"]),
    ],
    env: { AZURITE_ACCOUNTS: Object.entries(accounts).map(([name, key]) => `${name}:${key}`).join(";") },
    stdout: "null",
    stderr: "null",
  }).spawn();
  await eventually("Azurite answers", () => isReady({ kind: "port", port }), { everyMs: 50 });
  const origin = `${dir === undefined ? "http" : "https"}://127.0.0.1:${port}`;
  return {
    origin,
    endpoint: `${origin}/${AZURITE_ACCOUNT}`,
    async createContainer(name) {
      const credential = new StorageSharedKeyCredential(AZURITE_ACCOUNT, AZURITE_KEY);
      // To the client's core, whose options the storage client passes on without naming them.
      const own: object = dir === undefined ? {} : { tlsOptions: { ca: await Deno.readTextFile(`${dir}/ca.pem`) } };
      await new BlobServiceClient(`${origin}/${AZURITE_ACCOUNT}`, credential, own).createContainer(name);
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.status;
    },
  };
}
