/** The clouds' metadata, where a machine or a pod gets its login: for this machine alone, so no proxy reaches it. */

const HOSTS = ["169.254.169.254", "metadata.google.internal", "metadata.google.internal."];
/** By these the environment names another place of it: pods and apps of Azure, machines in Azure Arc, and Google's. */
const NAMED = [
  "AZURE_POD_IDENTITY_AUTHORITY_HOST",
  "IDENTITY_ENDPOINT",
  "IMDS_ENDPOINT",
  "MSI_ENDPOINT",
  "GCE_METADATA_HOST",
  "GCE_METADATA_IP",
];
const PROXIES = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];

type Environment = Pick<typeof Deno.env, "get" | "set">;

/**
 * Adds these hosts to NO_PROXY of this process, where it names a proxy: the clients of Azure and Google ask for metadata as for
 * anything else, and go by that variable alone, which Azure's reads when the first of them is made.
 */
export function keepMetadataDirect(env: Environment = Deno.env): void {
  const given = (name: string) => [name, name.toLowerCase()].filter((each) => env.get(each));
  if (PROXIES.every((name) => given(name).length === 0)) return;
  const own = NAMED.flatMap((name) => {
    const value = env.get(name) ?? "";
    const url = URL.parse(/^https?:\/\//.test(value) ? value : `http://${value}`);
    return value === "" || url === null ? [] : [url.hostname];
  });
  const names = given("NO_PROXY");
  for (const name of names.length > 0 ? names : ["NO_PROXY"]) {
    const before = (env.get(name) ?? "").split(",").map((entry) => entry.trim()).filter((entry) => entry !== "");
    env.set(name, [...new Set([...before, ...HOSTS, ...own])].join(","));
  }
}
