/** fake-gcs-server, an emulator of Google Cloud Storage: a server of a test's own. */
import { installOnce } from "./cache.ts";
import { runCommand } from "./command.ts";
import { isReady } from "./component.ts";
import { eventually } from "./eventually.ts";
import { freePort } from "./free_port.ts";
import { VERSIONS } from "./versions.ts";

export interface FakeGcs extends AsyncDisposable {
  readonly endpoint: string;
  createBucket(name: string): Promise<void>;
}

export async function installFakeGcs(log: (line: string) => void = () => {}, signal?: AbortSignal): Promise<string> {
  const version = VERSIONS.fakeGcsServer;
  const dir = await installOnce(`fake-gcs-server-${version}`, version, async (dir) => {
    log(`build fake-gcs-server ${version} (Go, up to 3 minutes)`);
    await runCommand("go", ["install", `github.com/fsouza/fake-gcs-server@${version}`], {
      purpose: `Building fake-gcs-server ${version}`,
      log: `${dir}.log`,
      missing: "Install Go (https://go.dev/dl, or Debian: apt-get install golang).",
      env: { GOBIN: dir, GOFLAGS: "-buildvcs=false" },
      ...(signal === undefined ? {} : { signal }),
    });
  });
  return `${dir}/fake-gcs-server`;
}

export interface FakeGcsOptions {
  /** Folder with ca.pem, server.pem and server-key.pem: https. */
  readonly tlsDir?: string;
  /** Folder of the buckets; default: its data is in memory. */
  readonly folder?: string;
}

export async function startFakeGcs({ tlsDir, folder }: FakeGcsOptions = {}): Promise<FakeGcs> {
  const program = await installFakeGcs();
  const port = freePort();
  const scheme = tlsDir === undefined ? "http" : "https";
  const endpoint = `${scheme}://127.0.0.1:${port}`;
  const tls = tlsDir === undefined
    ? []
    : ["-cert-location", `${tlsDir}/server.pem`, "-private-key-location", `${tlsDir}/server-key.pem`];
  const child = new Deno.Command(program, {
    args: [
      ...["-scheme", scheme, "-host", "127.0.0.1", "-port", String(port)],
      ...(folder === undefined ? ["-backend", "memory"] : ["-backend", "filesystem", "-filesystem-root", folder]),
      ...["-external-url", endpoint, "-public-host", `127.0.0.1:${port}`, "-log-level", "error"],
      ...tls,
    ],
    stdout: "null",
    stderr: "null",
  }).spawn();
  await eventually("fake-gcs-server answers", () => isReady({ kind: "port", port }), { everyMs: 50 });
  return {
    endpoint,
    async createBucket(name) {
      using client = Deno.createHttpClient(
        tlsDir === undefined ? {} : { caCerts: [await Deno.readTextFile(`${tlsDir}/ca.pem`)] },
      );
      const answer = await fetch(`${endpoint}/storage/v1/b?project=test`, {
        method: "POST",
        client,
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ name }),
      });
      const text = await answer.text();
      if (!answer.ok) throw new Error(`No bucket ${name}: ${text}`);
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.status;
    },
  };
}
