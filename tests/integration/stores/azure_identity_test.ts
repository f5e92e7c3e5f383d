import assert from "node:assert/strict";
import { createAzureIdentity } from "../../../stores/objects/azure_identity.ts";
import { makeCertificates } from "./etcd_process.ts";

const SCOPE = "https://storage.azure.com/.default";

/** Entra ID, which gives tokens for what it is asked. */
async function entra(dir: string) {
  const asked: URLSearchParams[] = [];
  const server = Deno.serve({
    port: 0,
    hostname: "127.0.0.1",
    onListen: () => {},
    cert: await Deno.readTextFile(`${dir}/server.pem`),
    key: await Deno.readTextFile(`${dir}/server-key.pem`),
  }, async (request) => {
    const { pathname, origin } = new URL(request.url);
    if (request.method === "GET") {
      return Response.json({
        issuer: `${origin}/tenant/v2.0`,
        jwks_uri: `${origin}/tenant/discovery/v2.0/keys`,
        authorization_endpoint: `${origin}/tenant/oauth2/v2.0/authorize`,
        token_endpoint: `${origin}/tenant/oauth2/v2.0/token`,
      });
    }
    assert.match(pathname, /\/oauth2\/v2\.0\/token$/);
    asked.push(new URLSearchParams(await request.text()));
    return Response.json({ token_type: "Bearer", expires_in: 3600, access_token: `token-${asked.length}` });
  });
  return { asked, server, authority: `https://127.0.0.1:${server.addr.port}` };
}

Deno.test("createAzureIdentity logs in as an application and as a workload, at an authority with its own certificate", async () => {
  const dir = await makeCertificates("localhost", "127.0.0.1");
  const { asked, server, authority } = await entra(dir);
  try {
    const tls = { ca: await Deno.readTextFile(`${dir}/ca.pem`) };
    const common = { tenantId: "tenant", clientId: "application", authority, tls };
    const secret = createAzureIdentity({ ...common, type: "client_secret", clientSecret: "the-secret" });
    assert.equal((await secret.getToken(SCOPE))?.token, "token-1");
    assert.equal((await secret.getToken(SCOPE))?.token, "token-1", "kept until it is about to end");
    assert.equal(asked[0]!.get("client_secret"), "the-secret");
    await Deno.writeTextFile(`${dir}/pod`, "pod-token");
    const workload = createAzureIdentity({ ...common, type: "workload", tokenFile: `${dir}/pod` });
    assert.equal((await workload.getToken(SCOPE))?.token, "token-2");
    assert.equal(asked[1]!.get("client_assertion"), "pod-token");
    assert.equal(asked[1]!.get("scope")?.split(" ")[0], SCOPE);
  } finally {
    await server.shutdown();
    await Deno.remove(dir, { recursive: true });
  }
});
