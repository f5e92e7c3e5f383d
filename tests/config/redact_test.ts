import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { z } from "zod";
import { collectSecrets, createRedactor, MASK } from "../../config/redact.ts";
import { parseYaml } from "../../config/yaml.ts";

Deno.test("createRedactor replaces a secret in every form in which it may be printed", () => {
  const secret = 'p@ss "w/ö+rd"';
  const redact = createRedactor([secret]);
  for (
    const text of [
      `a ${secret} b`,
      JSON.stringify({ password: secret }),
      `https://x/?key=${encodeURIComponent(secret)}`,
      Buffer.from(secret).toString("base64"),
      Buffer.from(secret).toString("base64url"),
      Buffer.from(secret).toString("hex"),
    ]
  ) {
    const shown = redact(text);
    assert.ok(shown.includes(MASK), text);
    assert.ok(!shown.includes(secret) && !shown.includes("w%2F"), shown);
  }
});

Deno.test("createRedactor finds a secret inside a longer base64 text, as Basic authentication has it", () => {
  for (const user of ["a", "ab", "abc", "user"]) {
    const header = Buffer.from(`${user}:correct-horse-battery`).toString("base64");
    const shown = createRedactor(["correct-horse-battery"])(`Authorization: Basic ${header}`);
    assert.ok(shown.includes(MASK), user);
    assert.ok(!Buffer.from(shown.slice(21), "base64").toString().includes("horse"), shown);
  }
});

Deno.test("createRedactor leaves nothing of any set of secrets, also where one contains another", () => {
  const secret = fc.string({
    unit: fc.constantFrom("a", "b", "1", ".", "*", "$", "(", "\\", "/"),
    minLength: 4,
    maxLength: 12,
  });
  fc.assert(fc.property(fc.array(secret, { minLength: 1, maxLength: 6 }), (secrets) => {
    const shown = createRedactor(secrets)(secrets.map((item) => `§${item}§`).join(" "));
    assert.equal(shown, secrets.map(() => `§${MASK}§`).join(" "));
  }));
});

Deno.test("createRedactor hides the password of user:password, the lines of a key, and the longer of two secrets first", () => {
  const redact = createRedactor(["root:hunter22", "-----BEGIN\nAAAABBBB\n-----END", "abcdef", "abcdefgh"]);
  assert.equal(redact("login hunter22 failed"), `login ${MASK} failed`);
  assert.equal(redact("line AAAABBBB"), `line ${MASK}`);
  assert.equal(redact("abcdefgh"), MASK);
});

Deno.test("createRedactor leaves the product's name alone, which is Milvus' default password", () => {
  assert.equal(
    createRedactor(["root:Milvus"])("Milvus 2.3.5 at dr:19530 with root:Milvus"),
    `Milvus 2.3.5 at dr:19530 with ${MASK}`,
  );
});

Deno.test("collectSecrets takes what the schema marks, passwords in URLs, and what looks like a misplaced secret", () => {
  const schema = z.strictObject({
    token: z.string().meta({ secret: true }).optional(),
    endpoint: z.string().optional(),
    list: z.array(z.strictObject({ key: z.string().meta({ secret: true }).describe("x") })).optional(),
  });
  const { root } = parseYaml(
    "token: aaaa1111\nendpoint: http://me:bbbb%402222@host:1\nlist: [{ key: 33334444 }]\nsecret_acess_key: cccc5555\nnested: { passwd: dddd6666 }\n",
    "x.yaml",
  );
  const redact = createRedactor(collectSecrets(root!, schema));
  assert.equal(
    redact("aaaa1111 bbbb%402222 bbbb@2222 33334444 cccc5555 dddd6666 host"),
    `${Array(6).fill(MASK).join(" ")} host`,
  );
});
