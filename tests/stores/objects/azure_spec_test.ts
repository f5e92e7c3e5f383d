import assert from "node:assert/strict";
import { azureEndpoint, azureLogin } from "../../../stores/objects/open_azure.ts";
import { azureSpec } from "../../../stores/objects/spec.ts";

const base = { type: "azure", container: "backups" };
const problems = (config: object) => {
  const parsed = azureSpec.safeParse({ ...base, ...config });
  return parsed.success ? [] : parsed.error.issues.map((issue) => issue.message);
};

Deno.test("azureSpec wants one login, and what that one needs", () => {
  assert.deepEqual(problems({}), []);
  assert.deepEqual(problems({ account: "a", account_key: "k" }), []);
  assert.deepEqual(problems({ connection_string_file: "/f" }), []);
  assert.deepEqual(problems({ account: "a", identity: {} }), []);
  assert.deepEqual(problems({ account_key: "k" }), [
    "account_key needs account (or endpoint)",
    "account_key needs account",
  ]);
  assert.deepEqual(problems({ endpoint: "http://h:1/a", account_key: "k" }), ["account_key needs account"]);
  assert.deepEqual(problems({ account: "a", account_key: "k", account_key_file: "/f" }), [
    "account_key and account_key_file exclude each other",
  ]);
  assert.deepEqual(problems({ account: "a", sas_token: "s", identity: {} }), [
    "identity and sas_token exclude each other: keep one",
  ]);
  assert.deepEqual(problems({ account: "a", identity: { type: "client_secret" } }), [
    "type: client_secret needs tenant_id",
    "type: client_secret needs client_id",
    "type: client_secret needs client_secret or client_secret_file",
  ]);
  assert.deepEqual(problems({ account: "a", identity: { client_secret: "s" } }), [
    "A client secret needs type: client_secret",
  ]);
});

Deno.test("azureLogin takes the environment's login where the config has none, and Entra ID's where neither has", async () => {
  const login = (config: object, env: Record<string, string> = {}) =>
    azureLogin(azureSpec.parse({ ...base, ...config }), undefined, (name) => env[name]);
  assert.deepEqual(await login({ account: "a" }, { AZURE_STORAGE_KEY: "k" }), { kind: "key", account: "a", key: "k" });
  assert.deepEqual(await login({ account: "a" }, { AZURE_STORAGE_SAS_TOKEN: "s" }), { kind: "sas", token: "s" });
  assert.deepEqual(await login({}, { AZURE_STORAGE_CONNECTION_STRING: "c" }), {
    kind: "connection_string",
    text: "c",
  });
  // Of another account than the one that is named.
  assert.deepEqual(await login({ account: "a" }, { AZURE_STORAGE_CONNECTION_STRING: "c" }), {
    kind: "identity",
    identity: { type: "default" },
  });
  assert.deepEqual(await login({ account: "a", sas_token: "mine" }, { AZURE_STORAGE_KEY: "k" }), {
    kind: "sas",
    token: "mine",
  });
});

Deno.test("azureEndpoint is the account's in the public cloud, or what the config says", () => {
  const endpoint = (config: object, env: Record<string, string> = {}) =>
    azureEndpoint(azureSpec.parse({ ...base, ...config }), (name) => env[name]);
  assert.equal(endpoint({ account: "a" }), "https://a.blob.core.windows.net");
  assert.equal(endpoint({}, { AZURE_STORAGE_ACCOUNT: "b" }), "https://b.blob.core.windows.net");
  assert.equal(endpoint({ endpoint: "http://azurite:10000/a/" }), "http://azurite:10000/a");
  assert.throws(() => endpoint({}), { code: "config", message: "The container backups has no account" });
});
