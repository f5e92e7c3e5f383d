import assert from "node:assert/strict";
import { TidemarkError } from "../../../../pipeline/errors.ts";
import type { LogSource } from "../../../../pipeline/model/mod.ts";
import { openPulsarLog, pulsarLogSpec } from "../../../../sources/log/mod.ts";
import { eventually } from "../../../stack/eventually.ts";
import { patience } from "../../../stack/patience.ts";
import { PulsarStandalone } from "../../../stack/pulsar/standalone.ts";
import { makeToken } from "../../../stack/pulsar/token.ts";
import { makeCertificates } from "../../stores/etcd_process.ts";

const never = new AbortController().signal;
const text = new TextEncoder();
const SECRET = crypto.getRandomValues(new Uint8Array(32));

async function open(address: string, extra: Record<string, unknown> = {}): Promise<LogSource> {
  return await openPulsarLog(pulsarLogSpec.parse({ type: "pulsar", address, ...extra }));
}

/** What a source with these keys answers, and that it is closed. */
async function answer<T>(
  address: string,
  extra: Record<string, unknown>,
  ask: (log: LogSource) => Promise<T>,
): Promise<T> {
  const source = await open(address, extra);
  try {
    return await ask(source);
  } finally {
    await source.close();
  }
}

/** Pulsar reads no other keys than RSA, in PKCS#8. */
async function makeRsaServer(certs: string): Promise<void> {
  for (
    const args of [
      ["req", "-newkey", "rsa:2048", "-nodes", "-keyout", "rsa-key.pem", "-out", "rsa.csr", "-subj", "/CN=pulsar.test"],
      ["x509", "-req", "-in", "rsa.csr", "-CA", "ca.pem", "-CAkey", "ca-key.pem", "-CAcreateserial", "-out", "rsa.pem"]
        .concat("-days", "2", "-extfile", "server.ext"),
    ]
  ) {
    const { success, stderr } = await new Deno.Command("openssl", { args, cwd: certs }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
  }
}

function refused(secret: string) {
  return (thrown: unknown) => {
    assert.ok(thrown instanceof TidemarkError, String(thrown));
    assert.equal(thrown.code, "authentication", thrown.message);
    assert.equal(thrown.exitCode, 12);
    assert.ok(!Deno.inspect(thrown, { depth: 20 }).includes(secret));
    return true;
  };
}

Deno.test({
  name: "openPulsarLog logs in by token, by renewed token and by certificate, and tells what is wrong with each",
  fn: async (t) => {
    const certs = await makeCertificates("pulsar.test", "127.0.0.1");
    await makeRsaServer(certs);
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const tlsPort = (listener.addr as Deno.NetAddr).port;
    listener.close();
    const admin = makeToken(SECRET, "admin");
    await using own = await PulsarStandalone.start({
      token: admin,
      settings: {
        brokerServicePortTls: tlsPort,
        tlsCertificateFilePath: `${certs}/rsa.pem`,
        tlsKeyFilePath: `${certs}/rsa-key.pem`,
        tlsTrustCertsFilePath: `${certs}/ca.pem`,
        authenticationEnabled: true,
        authorizationEnabled: true,
        authenticationProviders: ["Token", "Tls"].map((name) =>
          `org.apache.pulsar.broker.authentication.AuthenticationProvider${name}`
        ).join(),
        tokenSecretKey: `data:;base64,${SECRET.toBase64()}`,
        superUserRoles: "admin",
        authenticationRefreshCheckSeconds: 1,
        brokerClientAuthenticationPlugin: "org.apache.pulsar.client.impl.auth.AuthenticationToken",
        brokerClientAuthenticationParameters: `token:${admin}`,
      },
    });
    for (const role of ["reader", "someone"]) {
      await own.rest("POST", `namespaces/public/default/permissions/${role}`, ["consume"]);
    }
    await own.createTopic("t");
    const write = async (value: string) => {
      await using producer = await own.producer("t");
      await producer.send([{ value: text.encode(value) }]);
    };
    await write("first");
    const tls = `pulsar+ssl://127.0.0.1:${tlsPort}`;
    const ca = { ca_file: `${certs}/ca.pem`, server_name: "pulsar.test" };
    const reader = makeToken(SECRET, "reader");
    const topics = (log: LogSource) => log.topics(never);
    const bounds = (log: LogSource) => log.bounds("t", never);

    await t.step("a token, over plain text and over TLS", async () => {
      assert.deepEqual(await answer(own.address, { token: reader }, topics), ["t"]);
      assert.deepEqual(await answer(tls, { token: reader, tls: ca }, topics), ["t"]);
      await answer(own.address, { token: reader }, bounds);
      assert.match(
        (await answer(own.address, { token: reader }, (log) => log.check(never)))[0]!.detail,
        /logged in by token/,
      );
    });
    await t.step("a wrong token, none, an expired one and one without the right", async () => {
      const wrong = makeToken(new Uint8Array(32), "reader");
      await assert.rejects(answer(own.address, { token: wrong }, topics), refused(wrong));
      await assert.rejects(answer(own.address, { token: wrong }, bounds), refused(wrong));
      await assert.rejects(answer(own.address, {}, topics), refused("no secret"));
      const expired = makeToken(SECRET, "reader", 1_600_000_000);
      await assert.rejects(answer(own.address, { token: expired }, topics), refused(expired));
      const stranger = makeToken(SECRET, "stranger");
      await assert.rejects(answer(own.address, { token: stranger }, bounds), refused(stranger));
      assert.equal((await answer(own.address, { token: wrong }, (log) => log.check(never)))[0]!.code, "authentication");
    });
    await t.step("a client certificate", async () => {
      const mutual = { ...ca, cert_file: `${certs}/client.pem`, key_file: `${certs}/client-key.pem` };
      assert.deepEqual(await answer(tls, { tls: mutual }, topics), ["t"]);
      await answer(tls, { tls: mutual }, bounds);
    });
    await t.step("a certificate that nobody vouches for, and another name than expected", async () => {
      const untrusted = (thrown: unknown) => {
        assert.ok(thrown instanceof TidemarkError);
        assert.equal(thrown.code, "unreachable");
        assert.match(thrown.message, /a certificate that is not trusted/);
        return true;
      };
      await assert.rejects(answer(tls, { token: reader, tls: {} }, topics), untrusted);
      await assert.rejects(
        answer(tls, { token: reader, tls: { ...ca, server_name: "other.test" } }, topics),
        untrusted,
      );
      assert.deepEqual(await answer(tls, { token: reader, tls: { insecure_skip_verify: true } }, topics), ["t"]);
      await assert.rejects(answer(`pulsar://127.0.0.1:${tlsPort}`, { token: reader }, topics), TidemarkError);
    });
    await t.step("a token of a file that is renewed while it reads, though the old one expires", async () => {
      const file = `${certs}/token`;
      const seconds = Math.ceil(6 * patience());
      const renew = () =>
        Deno.writeTextFile(file, `${makeToken(SECRET, "reader", Math.floor(Date.now() / 1000) + seconds)}\n`);
      await renew();
      const renewing = setInterval(() => void renew(), 1000);
      const source = await open(own.address, { token_file: file });
      const begun = Date.now();
      const found: string[] = [];
      const stop = new AbortController();
      const { earliest } = await source.bounds("t", never);
      const reading = (async () => {
        for await (const { records } of source.tail("t", earliest, undefined, stop.signal)) {
          found.push(...records.map(({ value }) => new TextDecoder().decode(value!)));
        }
      })();
      reading.catch(() => {});
      try {
        await eventually(
          "the first token has expired, and a challenge was answered",
          () => Date.now() > begun + seconds * 1500,
        );
        await write("second");
        await eventually("the record behind it is read", () => found.length === 2);
        assert.deepEqual(found, ["first", "second"]);
      } finally {
        clearInterval(renewing);
        stop.abort();
        await assert.rejects(reading, { name: "AbortError" });
        await source.close();
      }
    });
    await Deno.remove(certs, { recursive: true });
  },
});
