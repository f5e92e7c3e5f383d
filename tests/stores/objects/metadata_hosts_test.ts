import assert from "node:assert/strict";
import { keepMetadataDirect } from "../../../stores/objects/metadata_hosts.ts";
import { proxyFor } from "../../../stores/objects/proxy.ts";

function kept(given: Record<string, string>): Record<string, string> {
  const env = { ...given };
  const access = { get: (name: string) => env[name], set: (name: string, value: string) => void (env[name] = value) };
  keepMetadataDirect(access);
  keepMetadataDirect(access);
  return env;
}

Deno.test("keepMetadataDirect adds the clouds' metadata to what goes past the proxy, once, and nothing without a proxy", () => {
  const hosts = "169.254.169.254,metadata.google.internal,metadata.google.internal.";
  assert.deepEqual(kept({ NO_PROXY: "a" }), { NO_PROXY: "a" });
  assert.deepEqual(kept({ HTTP_PROXY: "http://p" }), { HTTP_PROXY: "http://p", NO_PROXY: hosts });
  assert.deepEqual(kept({ https_proxy: "p", no_proxy: "a, .b" }), { https_proxy: "p", no_proxy: `a,.b,${hosts}` });
  const both = kept({ ALL_PROXY: "p", NO_PROXY: "a", no_proxy: "b" });
  assert.deepEqual([both.NO_PROXY, both.no_proxy], [`a,${hosts}`, `b,${hosts}`]);
});

Deno.test("keepMetadataDirect knows where the environment says that the metadata are", () => {
  const named = {
    AZURE_POD_IDENTITY_AUTHORITY_HOST: "http://10.0.0.1:8080",
    IDENTITY_ENDPOINT: "http://localhost:42356/msi/token",
    IMDS_ENDPOINT: "",
    GCE_METADATA_HOST: "10.0.0.2:8080",
  };
  const env = kept({ HTTP_PROXY: "http://p", ...named });
  const proxied = (url: string) => proxyFor(url, (name) => env[name]) !== undefined;
  for (const host of ["169.254.169.254", "metadata.google.internal", "10.0.0.1:8080", "localhost:1", "10.0.0.2"]) {
    assert.ok(!proxied(`http://${host}/token`), host);
  }
  assert.ok(proxied("http://login.example.com/"));
});
