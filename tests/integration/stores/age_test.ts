/** Encrypted backups and the command `age`: each reads what the other writes. */
import assert from "node:assert/strict";
import { createFileStore } from "../../../stores/mod.ts";
import { withEncryption } from "../../../stores/encryption/mod.ts";
import { installAge } from "../../stack/age.ts";

/** Nothing, less than a chunk, chunks to the byte, and more. */
const SIZES = [0, 1, 65_535, 65_536, 65_537, 3 * 65_536, 1_000_001];

function bytesOf(length: number): Uint8Array {
  return new Uint8Array(length).map((_, i) => (i * 2_654_435_761) >>> 11);
}

Deno.test("age decrypts every object of an encrypted backup, with either key, and Tidemark what age encrypted", async () => {
  const age = await installAge();
  const folder = await Deno.makeTempDir();
  try {
    const keys = [`${folder}/own.txt`, `${folder}/offline.txt`];
    for (const key of keys) await age.run("age-keygen", ["-o", key]);
    const recipients = await Promise.all(
      keys.map(async (key) => new TextDecoder().decode(await age.run("age-keygen", ["-y", key])).trim()),
    );
    const encrypt = { recipients, identity_file: keys[0]! };
    const store = await withEncryption(createFileStore(`${folder}/backups`), encrypt);
    for (const size of SIZES) {
      const bytes = bytesOf(size);
      await store.put(`b/whole/${size}`, bytes);
      await store.put(
        `b/streamed/${size}`,
        (async function* () {
          for (let at = 0; at < size; at += 50_000) yield bytes.subarray(at, at + 50_000);
        })(),
      );
      for (const key of keys) {
        for (const how of ["whole", "streamed"]) {
          const file = `${folder}/backups/b/${how}/${size}`;
          assert.deepEqual(new Uint8Array(await age.run("age", ["-d", "-i", key, file])), bytes, `${how} ${size}`);
        }
      }
      // As a person may put one back.
      const to = recipients.toSorted().flatMap((recipient) => ["-r", recipient]);
      await age.run("age", [...to, "-o", `${folder}/backups/b/foreign-${size}`], bytes);
      assert.deepEqual(await store.get(`b/foreign-${size}`), bytes);
      assert.equal((await store.head(`b/foreign-${size}`))?.size, BigInt(size));
      const range = { start: Math.floor(size / 2), end: size };
      assert.deepEqual(await store.get(`b/foreign-${size}`, range), bytes.subarray(range.start));
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
