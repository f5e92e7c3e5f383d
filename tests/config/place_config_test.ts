import assert from "node:assert/strict";
import { type PlaceAccess, placeConfig } from "../../config/places.ts";

Deno.test("placeConfig reads a folder, and a bucket's URL of each kind of store", () => {
  const part = (storage: string, endpoint?: string) => {
    const { tls: _tls, sse: _sse, ...config } = placeConfig(storage, { endpoint }) as unknown as Record<
      string,
      unknown
    >;
    return [config.type, config.path ?? config.bucket ?? config.container, config.prefix, config.endpoint];
  };
  assert.deepEqual(part("/backups"), ["file", "/backups", "", undefined]);
  assert.deepEqual(part("file:///backups"), ["file", "/backups", "", undefined]);
  assert.deepEqual(part("s3://b/deep/er/", "minio:9000"), ["s3", "b", "deep/er", "http://minio:9000"]);
  assert.deepEqual(part("azure://c/p"), ["azure", "c", "p", undefined]);
  assert.deepEqual(part("gs://b"), ["gcs", "b", "", undefined]);
  assert.throws(() => part("ftp://host/x"), { code: "usage", message: "--storage ftp://host/x is of no known kind" });
  assert.throws(() => part("constructor://host/x"), { code: "usage" });
  assert.throws(() => part("/backups", "minio:9000"), { code: "usage" });
});

Deno.test("placeConfig takes the region and the place of the bucket's name, for S3 alone; the region else of the environment", () => {
  const part = (access: PlaceAccess, env: Record<string, string> = {}, storage = "s3://b") => {
    const { region, path_style } = placeConfig(storage, access, (name) => env[name]) as unknown as Record<
      string,
      unknown
    >;
    return [region, path_style];
  };
  assert.deepEqual(part({}), ["us-east-1", true]);
  assert.deepEqual(part({ region: "eu-central-1", virtualHost: true }), ["eu-central-1", false]);
  assert.deepEqual(part({}, { AWS_DEFAULT_REGION: "eu-west-1" }), ["eu-west-1", true]);
  const both = { AWS_REGION: "eu-north-1", AWS_DEFAULT_REGION: "eu-west-1" };
  assert.deepEqual(part({}, both), ["eu-north-1", true]);
  assert.deepEqual(part({ region: "auto" }, both), ["auto", true]);
  assert.deepEqual(part({}, both, "gs://b"), [undefined, undefined]);
  for (
    const [storage, access, message] of [
      ["gs://b", { region: "eu" }, "--region has no meaning with gs://"],
      ["azure://c", { virtualHost: true }, "--virtual-host has no meaning with azure://"],
      ["/b", { region: "eu" }, "--region has no meaning with a folder"],
      ["/b", { virtualHost: true }, "--virtual-host has no meaning with a folder"],
    ] as const
  ) assert.throws(() => part(access, {}, storage), { code: "usage", message });
});

Deno.test("placeConfig takes the keys of encrypted backups and of a customer, as a configuration would name them", () => {
  const part = (storage: string, access: PlaceAccess) => {
    const { encrypt, sse, customer_key_file } = placeConfig(storage, access) as unknown as Record<string, unknown>;
    return { encrypt, sse, customer_key_file };
  };
  const none = { encrypt: undefined, sse: undefined, customer_key_file: undefined };
  assert.deepEqual(part("/b", { identityFile: "/k" }), { ...none, encrypt: { identity_file: "/k" } });
  assert.deepEqual(part("gs://b", { passphraseFile: "/p" }), { ...none, encrypt: { passphrase_file: "/p" } });
  assert.deepEqual(part("s3://b", { customerKeyFile: "/c", identityFile: "/k" }), {
    ...none,
    encrypt: { identity_file: "/k" },
    sse: { mode: "sse-c", customer_key_file: "/c" },
  });
  for (const url of ["azure://c", "gs://b"]) {
    assert.deepEqual(part(url, { customerKeyFile: "/c" }), { ...none, customer_key_file: "/c" });
  }
  const refused = (storage: string, access: PlaceAccess, message: RegExp, hint = /./) =>
    assert.throws(() => placeConfig(storage, access), { code: "usage", message, hint });
  refused("/b", { customerKeyFile: "/c" }, /--customer-key-file has no meaning with a folder/);
  refused("/b", { identityFile: "/k", passphraseFile: "/p" }, /exclude each other/);
  refused("s3://b", { customerKeyFile: "/c", endpoint: "minio:9000" }, /endpoint must be https/, /--endpoint https:/);
});
