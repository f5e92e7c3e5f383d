import assert from "node:assert/strict";
import { createAzureStore } from "../../../stores/objects/azure.ts";
import { clockHint } from "../../../stores/objects/clock.ts";
import { FakeS3, s3Refusal } from "./fake_s3.ts";

Deno.test("clockHint says by how much this machine's clock is off, where that is so much that servers refuse it", () => {
  const now = Date.UTC(2026, 0, 1);
  const hint = (minutes: number) => clockHint(new Date(now + minutes * 60_000).toUTCString(), now);
  assert.equal(hint(20), "This machine's clock is 20 min behind the server's: set it, or the server's.");
  assert.equal(hint(-7), "This machine's clock is 7 min ahead of the server's: set it, or the server's.");
  assert.equal(hint(4), undefined);
  for (const none of [undefined, null, "", "no date"]) assert.equal(clockHint(none, now), undefined);
});

/** A server whose clock is 20 minutes ahead, and which takes no request of this machine. */
const refusing = (says: Record<string, string>) =>
  new FakeS3({
    answer: () => {
      const refusal = s3Refusal(
        403,
        "RequestTimeTooSkewed",
        "The difference between the request time and the current time is too large.",
      );
      for (const [name, value] of Object.entries(says)) refusal.headers.set(name, value);
      return refusal;
    },
  });

Deno.test("createS3Store says that the clocks differ, and by how much, where the server takes no request for that", async () => {
  for (
    const [says, hint] of [
      [
        { date: new Date(Date.now() + 20 * 60_000).toUTCString() },
        /^This machine's clock is 20 min behind the server's/,
      ],
      [{ date: "" }, /^Set this machine's clock, or the server's/],
    ] as const
  ) {
    await using s3 = refusing(says);
    const store = s3.store();
    const expected = {
      code: "authentication",
      message: /refuses requests of this machine's time: RequestTimeTooSkewed/,
      hint,
    };
    await assert.rejects(store.get("k"), expected);
    await assert.rejects(store.put("k", new Uint8Array([1])), expected);
    await store.close();
  }
});

Deno.test("createS3Store names the clock first where the server says no more than that it refuses", async () => {
  await using s3 = new FakeS3({
    answer: () =>
      new Response(null, { status: 403, headers: { date: new Date(Date.now() - 20 * 60_000).toUTCString() } }),
  });
  const store = s3.store();
  await assert.rejects(store.head("k"), {
    code: "authentication",
    hint: /^This machine's clock is 20 min ahead of the server's: .* Or: Check access_key_id/,
  });
  await store.close();
});

Deno.test("createAzureStore says that the clocks differ where the service refuses a request for its date", async () => {
  await using http = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, () =>
    new Response(
      '<?xml version="1.0"?><Error><Code>AuthenticationFailed</Code><Message>Server failed to authenticate the request.' +
        "</Message><AuthenticationErrorDetail>Request date header too old</AuthenticationErrorDetail></Error>",
      {
        status: 403,
        headers: {
          "content-type": "application/xml",
          "x-ms-error-code": "AuthenticationFailed",
          date: new Date(Date.now() + 20 * 60_000).toUTCString(),
        },
      },
    ));
  const store = createAzureStore({
    endpoint: `http://127.0.0.1:${http.addr.port}/account`,
    container: "c",
    prefix: "",
    login: { kind: "key", account: "account", key: btoa("key") },
    tls: { ca: undefined, insecure: false },
    maxConcurrency: 8,
  });
  const expected = {
    code: "authentication",
    hint: "This machine's clock is 20 min behind the server's: set it, or the server's.",
  };
  await assert.rejects(store.put("k", new Uint8Array([1])), expected);
  await assert.rejects(store.head("k"), expected);
  await store.close();
});
