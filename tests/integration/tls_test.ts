/** TLS of Kafka, S3 and Milvus against real servers: a whole run, and what is said where certificates or logins do not fit. */
import assert from "node:assert/strict";
import { stackEnv } from "../stack/env.ts";
import { PyMilvus } from "../stack/pymilvus.ts";
import { assertSame } from "./pipeline/comparison.ts";
import { small } from "./pipeline/servers.ts";
import { TidemarkSetup } from "./pipeline/tidemark_process.ts";
import { makeCertificates } from "./stores/etcd_process.ts";
import { addKafkaListeners, KAFKA_USER, startHttpsBucket, startTlsTarget } from "./tls_servers.ts";

const PREFIX = "tls_";
const NAME = `${PREFIX}a`;

/** Parts of a configuration: `log`, `binlogs` and `sink` as in the file. */
interface Parts {
  readonly log: Record<string, unknown>;
  readonly binlogs: Record<string, unknown>;
  readonly sink: Record<string, unknown>;
}

Deno.test("run and check with TLS to Kafka, S3 and Milvus", async (t) => {
  const env = stackEnv();
  await using open = new AsyncDisposableStack();
  const [certs, others] = await Promise.all([
    makeCertificates("localhost", "127.0.0.1"),
    makeCertificates("localhost", "127.0.0.1"),
  ]);
  open.defer(() => Deno.remove(certs, { recursive: true }));
  open.defer(() => Deno.remove(others, { recursive: true }));
  const source = open.use(await PyMilvus.start(env.SOURCE_URI!, { python: env.PYTHON! }));
  await source.call("truncate_names", { prefix: PREFIX });
  await source.call("create_collection", small(NAME, { shards: 2 }));
  await source.call("insert_generated", { name: NAME, start: 0, count: 500, seed: 1 });
  await source.call("flush", { name: NAME });
  const [kafka, bucket, target] = await Promise.all([
    addKafkaListeners(env, certs),
    startHttpsBucket(env, certs).then((server) => open.use(server)),
    startTlsTarget(certs, 1).then((stack) => open.use(stack)),
  ]);
  const mutual = open.use(await startTlsTarget(certs, 2));
  const address = (stack: typeof target) => stack.env.TARGET_URI!.replace("http://", "https://");

  const ca = { ca_file: `${certs}/ca.pem` };
  const client = { cert_file: `${certs}/client.pem`, key_file: `${certs}/client-key.pem` };
  const binlogs = {
    type: "s3",
    endpoint: bucket.endpoint,
    bucket: env.SOURCE_BUCKET,
    root_path: "files",
    access_key_id: env.S3_ACCESS_KEY,
    secret_access_key: env.S3_SECRET_KEY,
  };
  const good: Parts = {
    log: { type: "kafka", brokers: [kafka.sasl], tls: ca, sasl: { mechanism: "SCRAM-SHA-512", ...KAFKA_USER } },
    binlogs: { ...binlogs, tls: ca },
    sink: { type: "milvus", address: address(target), token: "root:Milvus", tls: ca },
  };
  const setupOf = async ({ log, binlogs, sink }: Parts) => {
    const meta = { type: "etcd", endpoints: [env.ETCD_ENDPOINT], root_path: env.SOURCE_ROOT };
    return open.use(
      await TidemarkSetup.make({
        env,
        include: [`default.${PREFIX}*`],
        sinks: { replica: sink },
        extra: { sources: { meta, log, binlogs } },
      }),
    );
  };

  await t.step("run --once copies base and tail, every row", async () => {
    const setup = await setupOf(good);
    await setup.once();
    await source.call("insert_generated", { name: NAME, start: 400, count: 300, seed: 2, upsert: true });
    await source.call("delete", { name: NAME, start: 0, count: 50 });
    await setup.once();
    const options = { python: env.PYTHON!, caFile: `${certs}/ca.pem` };
    await using copy = await PyMilvus.start(address(target), options);
    await assertSame({ server: source, name: NAME }, { server: copy, name: NAME });
    const verify = await setup.command(["verify"]);
    assert.equal(verify.code, 0, verify.stderr);
  });

  const wrongCa = { ca_file: `${others}/ca.pem` };
  const { sasl } = good.log as { sasl: Record<string, unknown> };
  const skip = { insecure_skip_verify: true };
  const plainLogin = { mechanism: "PLAIN", ...KAFKA_USER };
  const noTls = { ...good.sink, address: address(target).replace("https://", "") };
  delete (noTls as Record<string, unknown>).tls;
  const secret = "a-wrong-password";
  const cases: Record<string, [Partial<Parts>, number, RegExp]> = {
    "Kafka with SSL alone": [{ log: { ...good.log, brokers: [kafka.ssl], sasl: undefined } }, 0, /ok/],
    "Kafka with a client certificate": [
      { log: { ...good.log, brokers: [kafka.mutual], sasl: undefined, tls: { ...ca, ...client } } },
      0,
      /ok/,
    ],
    "Kafka with SASL/PLAIN over TLS": [{ log: { ...good.log, sasl: plainLogin } }, 0, /ok/],
    "Kafka, any certificate": [{ log: { ...good.log, tls: skip } }, 0, /ok/],
    "Kafka, another authority": [
      { log: { ...good.log, tls: wrongCa } },
      11,
      /certificate.*sources\.log\.tls\.ca_file/s,
    ],
    "Kafka, the system's authorities": [
      { log: { ...good.log, tls: {} } },
      11,
      /certificate.*sources\.log\.tls\.ca_file/s,
    ],
    "Kafka, another name": [
      { log: { ...good.log, tls: { ...ca, server_name: "kafka.example" } } },
      11,
      /certificate.*server_name/s,
    ],
    "Kafka without its client certificate": [
      { log: { ...good.log, brokers: [kafka.mutual], sasl: undefined } },
      11,
      /sources\.log\.tls/,
    ],
    "Kafka, plain text": [{ log: { ...good.log, tls: undefined, sasl: undefined, brokers: [kafka.ssl] } }, 11, /TLS/],
    "Kafka, a wrong password": [{ log: { ...good.log, sasl: { ...sasl, password: secret } } }, 12, /refused the login/],
    "S3, any certificate": [{ binlogs: { ...binlogs, tls: { insecure: true } } }, 0, /ok/],
    "S3, another authority": [{ binlogs: { ...binlogs, tls: wrongCa } }, 11, /certificate.*tls\.ca_file/s],
    "S3, the system's authorities": [{ binlogs }, 11, /certificate.*tls\.ca_file/s],
    "S3, plain text": [{ binlogs: { ...binlogs, endpoint: bucket.endpoint.replace("https", "http") } }, 11, /https/],
    "S3, a wrong password": [
      { binlogs: { ...good.binlogs, secret_access_key: secret } },
      12,
      /refused the credentials/,
    ],
    "Milvus, any certificate": [{ sink: { ...good.sink, tls: skip } }, 0, /ok/],
    "Milvus, another authority": [{ sink: { ...good.sink, tls: wrongCa } }, 11, /certificate.*tls\.ca_file/s],
    "Milvus, the system's authorities": [{ sink: { ...good.sink, tls: {} } }, 11, /certificate.*tls\.ca_file/s],
    "Milvus, another name": [
      { sink: { ...good.sink, tls: { ...ca, server_name: "milvus.example" } } },
      11,
      /server_name/,
    ],
    "Milvus, plain text": [{ sink: noTls }, 11, /https:/],
    "Milvus, a wrong password": [{ sink: { ...good.sink, token: `root:${secret}` } }, 12, /refused the login/],
    "Milvus with a client certificate": [
      { sink: { ...good.sink, address: address(mutual), tls: { ...ca, ...client } } },
      0,
      /ok/,
    ],
    "Milvus without its client certificate": [{ sink: { ...good.sink, address: address(mutual) } }, 11, /cert_file/],
  };
  const waiting = Object.entries(cases);
  const results = new Map(waiting.map(([what]) => [what, Promise.withResolvers<() => void>()]));
  const check = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [what, [parts, expected, text]] = next;
      const setup = await setupOf({ ...good, ...parts });
      const { code, stdout, stderr } = await setup.command(["check"]);
      const said = `${stdout}\n${stderr}`;
      results.get(what)!.resolve(() => {
        assert.equal(code, expected, said);
        assert.match(said, text);
        assert.ok(!said.includes(secret), "the password is not said");
      });
    }
  };
  const checking = Promise.all([check(), check(), check()]);
  for (const [what, { promise }] of results) await t.step(`check: ${what}`, async () => (await promise)());
  await checking;
  await source.call("truncate_names", { prefix: PREFIX });
});
