import assert from "node:assert/strict";
import { targetStorageSpec } from "../../../sinks/milvus/storage_spec.ts";
import { readCustomerKey } from "../../../stores/objects/customer_key.ts";
import { objectStoreSpec } from "../../../stores/objects/spec.ts";

const KEY = Uint8Array.from({ length: 32 }, (_, i) => i * 7);

Deno.test("readCustomerKey takes 32 bytes as they are, in base64 and in hexadecimal, and nothing else", async () => {
  const dir = await Deno.makeTempDir();
  const read = async (content: string | Uint8Array) => {
    const file = `${dir}/key`;
    await Deno.writeFile(file, typeof content === "string" ? new TextEncoder().encode(content) : content);
    return await readCustomerKey(file, "customer_key_file");
  };
  try {
    for (const content of [KEY, `${KEY.toBase64()}\n`, KEY.toHex(), ` ${KEY.toHex().toUpperCase()}\r\n`]) {
      const key = await read(content);
      assert.deepEqual(key?.bytes, KEY);
      assert.equal(key.base64, KEY.toBase64());
      assert.equal(key.sha256, "Lf1gKnomC3oSkF/S69S5rPSe7VYXWLnLicvM7jia4C0=");
    }
    assert.equal(await readCustomerKey(undefined, "customer_key_file"), undefined);
    const wrong: [string | Uint8Array, RegExp][] = [
      [KEY.subarray(1), /holds 31 bytes that are neither base64 nor hexadecimal, expected a key of 32/],
      [KEY.subarray(0, 16).toBase64(), /holds 16 bytes, expected a key of 32/],
      ["", /holds 0 bytes, expected a key of 32/],
      ["a passphrase, not a key", /neither base64 nor hexadecimal/],
    ];
    for (const [content, message] of wrong) {
      await assert.rejects(() => read(content), { code: "config", message, hint: /openssl rand -base64 32/ });
    }
    await assert.rejects(readCustomerKey(`${dir}/none`, "sse.customer_key_file"), {
      code: "config",
      message: /Cannot read the file .*none that sse.customer_key_file names/,
    });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

const S3 = { type: "s3", bucket: "b" };
const AZURE = { type: "azure", container: "c", account: "a" };
const GCS = { type: "gcs", bucket: "b" };
const problems = (spec: typeof objectStoreSpec | typeof targetStorageSpec, config: object) => {
  const parsed = spec.safeParse(config);
  return parsed.success ? [] : parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
};

Deno.test("a customer's key is asked for by its mode, alone, and over https", () => {
  const file = { customer_key_file: "/k" };
  const named = (config: object) => problems(objectStoreSpec, config);
  assert.deepEqual(named({ ...S3, sse: { mode: "sse-c", ...file } }), []);
  assert.deepEqual(named({ ...AZURE, ...file }), []);
  assert.deepEqual(named({ ...GCS, endpoint: "https://h", ...file }), []);
  assert.deepEqual(named({ ...S3, sse: { mode: "sse-c" } }), ["sse.mode: mode: sse-c needs customer_key_file"]);
  assert.deepEqual(named({ ...S3, sse: file }), ["sse.customer_key_file: customer_key_file needs mode: sse-c"]);
  const plain = "customer_key_file goes with every request, so the endpoint must be https";
  assert.deepEqual(named({ ...S3, endpoint: "http://h", sse: { mode: "sse-c", ...file } }), [
    `sse.customer_key_file: ${plain}`,
  ]);
  assert.deepEqual(named({ ...AZURE, endpoint: "http://h/a", encryption_scope: "s", ...file }), [
    "customer_key_file: customer_key_file and encryption_scope exclude each other",
    `customer_key_file: ${plain}`,
  ]);
  assert.deepEqual(named({ ...GCS, endpoint: "http://h", kms_key_name: "k", ...file }), [
    "customer_key_file: customer_key_file and kms_key_name exclude each other",
    `customer_key_file: ${plain}`,
  ]);
});

Deno.test("the target's own storage has no customer's key, which the target would not know", () => {
  for (
    const config of [
      { ...S3, sse: { mode: "sse-c", customer_key_file: "/k" } },
      { ...AZURE, customer_key_file: "/k" },
      { ...GCS, customer_key_file: "/k" },
    ]
  ) {
    assert.match(problems(targetStorageSpec, config)[0]!, /customer_key_file: The target reads this storage/);
  }
});
