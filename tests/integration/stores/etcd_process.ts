/** An etcd of a test's own, which it may stop, restart and configure. */
import { connectEtcd, type EtcdOptions } from "../../../stores/etcd.ts";
import { freePort } from "../../stack/free_port.ts";

export interface OwnEtcdOptions {
  /** Directory with ca.pem, server.pem, server-key.pem; plain text without. */
  readonly tlsDir?: string;
  /** Ask for a client certificate signed by the same authority. */
  readonly clientCerts?: boolean;
}

export type EtcdCopy = ReadonlyMap<string, Uint8Array>;

export class OwnEtcd implements AsyncDisposable {
  readonly address: string;
  readonly #dir: string;
  readonly #args: string[];
  #process: Deno.ChildProcess | undefined;

  constructor(readonly options: OwnEtcdOptions = {}) {
    const [client, peer] = [freePort(), freePort()];
    this.address = `127.0.0.1:${client}`;
    this.#dir = Deno.makeTempDirSync({ prefix: "tidemark-etcd-" });
    const scheme = options.tlsDir === undefined ? "http" : "https";
    const dir = options.tlsDir;
    this.#args = [
      "--data-dir",
      this.#dir,
      "--listen-client-urls",
      `${scheme}://${this.address}`,
      "--advertise-client-urls",
      `${scheme}://${this.address}`,
      "--listen-peer-urls",
      `http://127.0.0.1:${peer}`,
      "--initial-advertise-peer-urls",
      `http://127.0.0.1:${peer}`,
      "--initial-cluster",
      `default=http://127.0.0.1:${peer}`,
      "--logger",
      "zap",
      "--log-level",
      "error",
      ...(dir === undefined ? [] : ["--cert-file", `${dir}/server.pem`, "--key-file", `${dir}/server-key.pem`]),
      ...(options.clientCerts ? ["--client-cert-auth", "--trusted-ca-file", `${dir}/ca.pem`] : []),
    ];
  }

  /** Starts it, or starts it again on the same data; returns when it answers. */
  async start(options: Partial<EtcdOptions> = {}): Promise<void> {
    this.#process = new Deno.Command("etcd", { args: this.#args, stdout: "null", stderr: "null" }).spawn();
    await using client = connectEtcd({ endpoints: [this.address], rounds: 60, ...options });
    await client.status();
  }

  /** Stops it at once, as a crash would; the data stay. */
  async kill(): Promise<void> {
    if (this.#process === undefined) return;
    this.#process.kill("SIGKILL");
    await this.#process.status;
    this.#process = undefined;
  }

  /** A copy of its data while it does not run. */
  async copy(): Promise<EtcdCopy> {
    if (this.#process !== undefined) throw new Error("It runs: its data change");
    const files = new Map<string, Uint8Array>();
    for (const folder of ["member/snap", "member/wal"]) {
      for await (const { name, isFile } of Deno.readDir(`${this.#dir}/${folder}`)) {
        if (isFile) files.set(`${folder}/${name}`, await Deno.readFile(`${this.#dir}/${folder}/${name}`));
      }
    }
    return files;
  }

  /** Its data are those of the copy from now on. */
  async restore(copy: EtcdCopy): Promise<void> {
    if (this.#process !== undefined) throw new Error("It runs: its data change");
    for (const folder of ["member/snap", "member/wal"]) {
      await Deno.remove(`${this.#dir}/${folder}`, { recursive: true });
      await Deno.mkdir(`${this.#dir}/${folder}`, { recursive: true, mode: 0o700 });
    }
    for (const [path, bytes] of copy) await Deno.writeFile(`${this.#dir}/${path}`, bytes, { mode: 0o600 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await Deno.remove(this.#dir, { recursive: true });
  }
}

/** Runs etcdctl against it. */
export async function etcdctl(address: string, args: string[]): Promise<void> {
  const output = await new Deno.Command("etcdctl", {
    args: ["--endpoints", address, ...args],
    env: { ETCDCTL_API: "3" },
  }).output();
  if (!output.success) throw new Error(`etcdctl ${args[0]}: ${new TextDecoder().decode(output.stderr)}`);
}

/** An authority, a server certificate for `serverName` and the address only, and a client certificate. */
export async function makeCertificates(serverName: string, address?: string): Promise<string> {
  const dir = await Deno.makeTempDir({ prefix: "tidemark-certs-" });
  const openssl = async (...args: string[]): Promise<void> => {
    const output = await new Deno.Command("openssl", { args, cwd: dir }).output();
    if (!output.success) throw new Error(new TextDecoder().decode(output.stderr));
  };
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  await openssl(
    "req",
    "-x509",
    ...key,
    "-keyout",
    "ca-key.pem",
    "-out",
    "ca.pem",
    "-days",
    "2",
    "-subj",
    "/CN=test authority",
  );
  for (const [name, cn] of [["server", serverName], ["client", "someone"]] as const) {
    await openssl("req", ...key, "-keyout", `${name}-key.pem`, "-out", `${name}.csr`, "-subj", `/CN=${cn}`);
    await Deno.writeTextFile(
      `${dir}/${name}.ext`,
      name === "server"
        ? `subjectAltName=DNS:${serverName}${
          address === undefined ? "" : `,IP:${address}`
        }\nextendedKeyUsage=serverAuth,clientAuth\n`
        : "extendedKeyUsage=clientAuth\n",
    );
    await openssl(
      ...["x509", "-req", "-in", `${name}.csr`, "-CA", "ca.pem", "-CAkey", "ca-key.pem", "-CAcreateserial"],
      ...["-out", `${name}.pem`, "-days", "2", "-extfile", `${name}.ext`],
    );
  }
  return dir;
}
