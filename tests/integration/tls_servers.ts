/** TLS in front of what the stack's source writes to, and a target of its own that speaks TLS and asks for a login. */
import { attachStack, install, type Stack, startStack } from "../stack/mod.ts";
import { freePort } from "../stack/free_port.ts";

export const KAFKA_USER = { username: "tls-reader", password: "tls-secret" };

/** Listeners of the stack's broker, added to the plain one: its records are read by all of them. */
export interface KafkaListeners {
  readonly ssl: string;
  /** With a client certificate. */
  readonly mutual: string;
  /** PLAIN and SCRAM-SHA-512. */
  readonly sasl: string;
}

/** Starts the stack's broker again with TLS listeners beside its own. They stay until the stack ends. */
export async function addKafkaListeners(env: Record<string, string>, certs: string): Promise<KafkaListeners> {
  const stack = await attachStack();
  const file = `${stack.dir}/kafka/server.properties`;
  // As the stack made it: the listeners of an earlier run of the test are gone with its certificates.
  const plain = await Deno.readTextFile(`${file}.plain`).catch(() => Deno.readTextFile(file));
  await Deno.writeTextFile(`${file}.plain`, plain);
  const properties = new Map(
    plain.trim().split("\n").map((line) => {
      const at = line.indexOf("=");
      return [line.slice(0, at), line.slice(at + 1)];
    }),
  );
  const listeners = { ssl: freePort(), mutual: freePort(), sasl: freePort() };
  const [ssl, mutual, sasl] = Object.values(listeners).map((port) => `127.0.0.1:${port}`) as [string, string, string];
  const added = `SSL://${ssl},MUTUAL://${mutual},SASL_SSL://${sasl}`;
  for (const key of ["listeners", "advertised.listeners"]) properties.set(key, `${properties.get(key)},${added}`);
  const protocols = "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,MUTUAL:SSL,SASL_SSL:SASL_SSL";
  properties.set("listener.security.protocol.map", protocols);
  await Deno.writeTextFile(
    `${certs}/broker.pem`,
    await Deno.readTextFile(`${certs}/server-key.pem`) + await Deno.readTextFile(`${certs}/server.pem`),
  );
  const { username, password } = KAFKA_USER;
  const login = `username="${username}" password="${password}"`;
  for (
    const [key, value] of Object.entries({
      "ssl.keystore.type": "PEM",
      "ssl.keystore.location": `${certs}/broker.pem`,
      "ssl.truststore.type": "PEM",
      "ssl.truststore.location": `${certs}/ca.pem`,
      "listener.name.mutual.ssl.client.auth": "required",
      "listener.name.sasl_ssl.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512",
      "listener.name.sasl_ssl.plain.sasl.jaas.config":
        `org.apache.kafka.common.security.plain.PlainLoginModule required ${login} user_${username}="${password}";`,
      "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config":
        "org.apache.kafka.common.security.scram.ScramLoginModule required;",
    })
  ) properties.set(key, value);
  await stack.stop("kafka");
  await Deno.writeTextFile(file, [...properties].map(([key, value]) => `${key}=${value}\n`).join(""));
  await stack.start("kafka");
  const scram = ["--alter", "--add-config", `SCRAM-SHA-512=[password=${password}]`];
  const { success, stderr } = await new Deno.Command("java", {
    args: [
      ...["-XX:TieredStopAtLevel=1", "-cp", env.KAFKA_CLASSPATH!, "kafka.admin.ConfigCommand"],
      ...["--bootstrap-server", env.KAFKA_BROKERS!, ...scram, "--entity-type", "users", "--entity-name", username],
    ],
  }).output();
  if (!success) throw new Error(`kafka.admin.ConfigCommand: ${new TextDecoder().decode(stderr)}`);
  return { ssl, mutual, sasl };
}

/** A second S3 server over the files of the stack's, with https. */
export async function startHttpsBucket(
  env: Record<string, string>,
  certs: string,
): Promise<AsyncDisposable & { readonly endpoint: string }> {
  const { versitygw } = await install("full");
  const address = `127.0.0.1:${freePort()}`;
  const child = new Deno.Command(versitygw, {
    args: [
      ...["--quiet", "--port", address, "--cert", `${certs}/server.pem`, "--key", `${certs}/server-key.pem`],
      ...["posix", `${env.STACK_DIR}/s3/data`],
    ],
    env: { ROOT_ACCESS_KEY: env.S3_ACCESS_KEY!, ROOT_SECRET_KEY: env.S3_SECRET_KEY! },
    stdout: "null",
    stderr: "null",
  }).spawn();
  return {
    endpoint: `https://${address}`,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.status;
    },
  };
}

/** A Milvus with its own storage; `mode` 1: TLS, 2: it wants a client certificate too. */
export async function startTlsTarget(certs: string, mode: 1 | 2): Promise<Stack> {
  return await startStack("demo", {
    name: `tls-${mode}-${Deno.pid}`,
    without: ["kafka", "source"],
    target: {
      "common.security.tlsMode": mode,
      "common.security.authorizationEnabled": true,
      "tls.serverPemPath": `${certs}/server.pem`,
      "tls.serverKeyPath": `${certs}/server-key.pem`,
      "tls.caPemPath": `${certs}/ca.pem`,
    },
  });
}
