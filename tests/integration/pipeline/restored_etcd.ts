/** A plain etcd on a copy of another one's data directory, as of a Milvus that runs no more. */
import { eventually } from "../../stack/eventually.ts";
import { freePort } from "../../stack/free_port.ts";

export interface RestoredEtcd extends AsyncDisposable {
  readonly endpoint: string;
}

/** The command is that of docs/copying.md. `from`: its data directory; its own etcd must not run any more. */
export async function restoreEtcd(from: string): Promise<RestoredEtcd> {
  const folder = await Deno.makeTempDir({ prefix: "tidemark_etcd_" });
  await new Deno.Command("cp", { args: ["-a", from, `${folder}/etcd`] }).output();
  const [client, peer] = [freePort(), freePort()].map((port) => `http://127.0.0.1:${port}`);
  const child = new Deno.Command("etcd", {
    args: [
      ...["--data-dir", `${folder}/etcd`, "--force-new-cluster"],
      ...["--listen-client-urls", client!, "--advertise-client-urls", client!, "--listen-peer-urls", peer!],
    ],
    stdout: "null",
    stderr: "null",
  }).spawn();
  const healthy = async () => {
    const response = await fetch(`${client}/health`).catch(() => undefined);
    return (await response?.text() ?? "").startsWith('{"health":"true"');
  };
  const end = async () => {
    child.kill("SIGTERM");
    await child.status;
    await Deno.remove(folder, { recursive: true });
  };
  try {
    await eventually("the restored etcd answers", healthy);
  } catch (error) {
    await end();
    throw error;
  }
  return { endpoint: client!, [Symbol.asyncDispose]: end };
}
