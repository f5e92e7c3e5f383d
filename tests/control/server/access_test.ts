import assert from "node:assert/strict";
import { createAccess, hostOf } from "../../../control/server/access.ts";

const dns: Record<string, string[]> = {
  "etcd.inside": ["10.0.0.7"],
  "twice.inside": ["10.0.0.7", "169.254.169.254"],
  "milvus.example": ["203.0.113.9"],
};
const resolve = (host: string) =>
  dns[host] === undefined ? Promise.reject(new Error("ENOTFOUND")) : Promise.resolve(dns[host]);
const config = (host: string) => ({ sources: { meta: { endpoints: [`${host}:2379`] } } });

Deno.test("hostOf takes the host out of every way in which a configuration writes one", () => {
  assert.equal(hostOf("etcd:2379"), "etcd");
  assert.equal(hostOf("https://user:p@MinIO.example:9000/x?y"), "minio.example");
  assert.equal(hostOf("[::1]:2379"), "::1");
  assert.equal(hostOf("::1"), "::1");
  assert.equal(hostOf("10.0.0.1"), "10.0.0.1");
});

Deno.test("createAccess allows every host where no list is given", async () => {
  assert.deepEqual(await createAccess({ hosts: undefined, paths: [] }, resolve).check(config("nowhere")), []);
});

Deno.test("createAccess refuses a host that the list does not have, with its JSON pointer", async () => {
  const { check } = createAccess({ hosts: ["*.inside"], paths: [] }, resolve);
  assert.deepEqual(await check(config("etcd.inside")), []);
  const [problem] = await check(config("etcd.inside.evil.example"));
  assert.equal(problem!.pointer, "/sources/meta/endpoints/0");
  assert.match(problem!.message, /is not allowed/);
  assert.equal((await check(config("127.0.0.1"))).length, 1);
});

Deno.test("createAccess refuses a name that leads to an address outside of the networks, also where one of several does", async () => {
  const { check } = createAccess({ hosts: ["*.inside", "10.0.0.0/8"], paths: [] }, resolve);
  assert.deepEqual(await check(config("etcd.inside")), []);
  assert.match((await check(config("twice.inside")))[0]!.message, /leads to 169\.254\.169\.254/);
  assert.match((await check(config("unknown.inside")))[0]!.message, /cannot be resolved/);
  assert.equal((await check(config("milvus.example"))).length, 1);
  assert.deepEqual(await check(config("10.9.8.7")), []);
  assert.equal((await check(config("169.254.169.254"))).length, 1);
});

Deno.test("createAccess takes a bucket without an endpoint for one of AWS", async () => {
  const { check } = createAccess({ hosts: ["*.inside"], paths: [] }, resolve);
  const [problem] = await check({ sinks: { vault: { type: "backup", storage: { type: "s3", bucket: "b" } } } });
  assert.equal(problem!.pointer, "/sinks/vault/storage");
});

Deno.test("createAccess keeps files inside the allowed folders, also through links and dots", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${folder}/in`);
    await Deno.symlink("/etc", `${folder}/in/link`);
    const { check, mayRead } = createAccess({ hosts: undefined, paths: [`${folder}/in`] }, resolve);
    const tried = async (path: string) => (await check({ storage: { type: "file", path } })).length;
    assert.deepEqual(
      await Promise.all([
        tried(`${folder}/in`),
        tried(`${folder}/in/deeper/still`),
        tried(`${folder}/in/../out`),
        tried(`${folder}/inside`),
        tried(`${folder}/in/link/passwd`),
        tried("./state"),
        tried(`file://${folder}/out`),
      ]),
      [0, 0, 1, 1, 1, 1, 1],
    );
    assert.ok(mayRead(`${folder}/in/secret`) && !mayRead("/etc/passwd"));
    assert.equal((await check({ tls: { ca_file: "/etc/ca.pem" }, meta: { kv_sub_path: "kv" } })).length, 1);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
