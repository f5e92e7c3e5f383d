/** Questions to Pulsar's web service, which tells what its binary protocol does not. */
import type { PulsarServer } from "./login.ts";

/** What is given for `path` below /admin/v2. Throws with the status where it is not 2xx. */
export async function askAdmin(
  admin: string,
  { tls, login }: PulsarServer,
  path: string,
  signal: AbortSignal,
): Promise<string> {
  const url = `${admin.replace(/\/$/, "")}/admin/v2/${path}`;
  const client = tls?.ca === undefined && tls?.cert === undefined ? undefined : Deno.createHttpClient({
    ...(tls.ca === undefined ? {} : { caCerts: [tls.ca] }),
    ...(tls.cert === undefined || tls.key === undefined ? {} : { cert: tls.cert, key: tls.key }),
  });
  try {
    const response = await fetch(url, {
      signal: AbortSignal.any([signal, AbortSignal.timeout(15_000)]),
      redirect: "follow",
      ...(client === undefined ? {} : { client }),
      ...(login.method === "token" ? { headers: { authorization: `Bearer ${await login.data()}` } } : {}),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${response.status} ${text.slice(0, 200)}`.trim());
    return text;
  } finally {
    client?.close();
  }
}
