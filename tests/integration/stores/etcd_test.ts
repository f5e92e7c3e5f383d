import assert from "node:assert/strict";
import { TidemarkError } from "../../../pipeline/errors.ts";
import { connectEtcd, type EtcdWatchBatch } from "../../../stores/etcd.ts";
import { eventually } from "../../stack/eventually.ts";
import { patience } from "../../stack/patience.ts";
import { freePort } from "../../stack/free_port.ts";
import { etcdctl, makeCertificates, OwnEtcd } from "./etcd_process.ts";

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const hasCode = (code: string, words: RegExp) => (error: unknown): boolean =>
  error instanceof TidemarkError && error.code === code && words.test(error.message);

Deno.test("EtcdClient reads, writes, pages and compares on a real etcd", async () => {
  await using server = new OwnEtcd();
  await server.start();
  await using etcd = connectEtcd({ endpoints: [server.address], pageSize: 7 });

  assert.equal(await etcd.get("a/none"), undefined);
  for (let i = 0; i < 25; i++) await etcd.put(`a/${String(i).padStart(2, "0")}`, `v${i}`);
  const before = (await etcd.status()).revision;
  await etcd.put("a/03", "changed");
  await etcd.put("b/1", "other");

  const pages = await Array.fromAsync(etcd.range("a/", { revision: before }));
  assert.deepEqual(pages.map((page) => page.kvs.length), [7, 7, 7, 4]);
  assert.deepEqual([...new Set(pages.map((page) => page.revision))], [before]);
  assert.equal(text(pages[0]!.kvs[3]!.value), "v3");
  assert.equal(text((await etcd.get("a/03"))!.value), "changed");
  assert.equal((await Array.fromAsync(etcd.range("", { keysOnly: true }))).flatMap((page) => page.kvs).length, 26);
  assert.equal((await Array.fromAsync(etcd.range("a/", { limit: 9 }))).flatMap((page) => page.kvs).length, 9);
  assert.deepEqual((await Array.fromAsync(etcd.range("zzz/"))).map((page) => page.kvs), [[]]);

  assert.equal((await etcd.compareAndSet("cas", 0n, "1")).done, true);
  const second = await etcd.compareAndSet("cas", 0n, "2");
  assert.equal(second.done, false);
  assert.equal(text(second.found[0]!.value), "1");
  assert.equal((await etcd.compareAndSet("cas", second.found[0]!.modRevision, "2")).done, true);
  await etcd.delete("cas");
  assert.equal(await etcd.get("cas"), undefined);
  assert.match((await etcd.status()).version, /^3\./);
});

Deno.test("EtcdClient.lease holds its keys until it is disposed and fires lost when it is revoked elsewhere", async () => {
  await using server = new OwnEtcd();
  await server.start();
  await using etcd = connectEtcd({ endpoints: [server.address] });
  {
    const seconds = Math.ceil(3 * patience());
    await using lease = await etcd.lease(seconds);
    await etcd.put("held", "x", lease.id);
    // Longer than it lives without being kept.
    await new Promise((resolve) => setTimeout(resolve, seconds * 1500));
    assert.notEqual(await etcd.get("held"), undefined);
    assert.equal(lease.lost.aborted, false);
  }
  assert.equal(await etcd.get("held"), undefined);

  await using lease = await etcd.lease(2);
  const lost = new Promise((resolve) => lease.lost.addEventListener("abort", resolve));
  await etcdctl(server.address, ["lease", "revoke", lease.id.toString(16)]);
  await lost;
});

Deno.test("EtcdClient.watch gives one batch per revision and loses nothing over a restart of etcd", async () => {
  await using server = new OwnEtcd();
  await server.start();
  const retries: string[] = [];
  await using etcd = connectEtcd({
    endpoints: [server.address],
    rounds: 30,
    onRetry: (error) => retries.push(error.code),
  });
  const from = await etcd.put("m/start", "0") + 1n;
  const stop = new AbortController();
  const seen: EtcdWatchBatch[] = [];
  const { promise: enough, resolve } = Promise.withResolvers<void>();
  const watching = (async () => {
    for await (const batch of etcd.watch(["m/a/", "m/b/"], from, stop.signal)) {
      seen.push(batch);
      if (batch.events.some((event) => event.kv.key === "m/b/end")) resolve();
    }
  })();
  await etcd.transact([], [{ key: "m/a/1", value: "1" }, { key: "m/b/1", value: "2" }, {
    key: "m/c/1",
    value: "unseen",
  }]);
  await etcd.put("m/c/2", "unseen");
  await etcd.delete("m/a/1");
  await server.kill();
  await eventually("the watch has noticed it", () => retries.includes("unreachable"));
  await server.start();
  await etcd.put("m/b/end", "3");
  await enough;
  stop.abort();
  await assert.rejects(watching, hasCode("aborted", /Stopped/));
  assert.deepEqual(
    seen.map((batch) => batch.events.map((event) => `${event.type} ${event.kv.key}`)),
    [["put m/a/1", "put m/b/1"], ["delete m/a/1"], ["put m/b/end"]],
  );
  assert.ok(retries.includes("unreachable"));
});

Deno.test("EtcdClient says position_lost for a compacted revision, in range and in watch", async () => {
  await using server = new OwnEtcd();
  await server.start();
  await using etcd = connectEtcd({ endpoints: [server.address] });
  const first = await etcd.put("k", "1");
  const last = await etcd.put("k", "2");
  await etcdctl(server.address, ["compact", last.toString()]);
  await assert.rejects(Array.fromAsync(etcd.range("k", { revision: first })), hasCode("position_lost", /compacted/));
  await assert.rejects(
    Array.fromAsync(etcd.watch(["k"], first, new AbortController().signal)),
    hasCode("position_lost", new RegExp(`compacted away revision ${first}.*${last}`)),
  );
});

Deno.test("EtcdClient names the endpoint that cannot be reached, and goes on with one that can", async () => {
  const dead = `127.0.0.1:${freePort()}`;
  {
    await using etcd = connectEtcd({ endpoints: [dead], rounds: 1 });
    await assert.rejects(etcd.get("k"), hasCode("unreachable", new RegExp(dead)));
  }
  await using server = new OwnEtcd();
  await server.start();
  await using etcd = connectEtcd({ endpoints: [dead, server.address] });
  await etcd.put("k", "1");
  assert.equal(text((await etcd.get("k"))!.value), "1");
  assert.equal(etcd.endpoint, server.address);
});

Deno.test("EtcdClient logs in, and says authentication for a wrong password, a missing login and a missing right", async () => {
  await using server = new OwnEtcd();
  await server.start();
  const admin = ["--user", "root:secret-root"];
  await etcdctl(server.address, ["user", "add", "root:secret-root"]);
  await etcdctl(server.address, ["user", "grant-role", "root", "root"]);
  await etcdctl(server.address, ["user", "add", "reader:secret-reader"]);
  await etcdctl(server.address, ["role", "add", "meta"]);
  await etcdctl(server.address, ["role", "grant-permission", "--prefix=true", "meta", "read", "by-dev/"]);
  await etcdctl(server.address, ["user", "grant-role", "reader", "meta"]);
  await etcdctl(server.address, ["put", "by-dev/x", "1"]);
  await etcdctl(server.address, ["auth", "enable"]);
  const endpoints = [server.address];
  try {
    {
      await using reader = connectEtcd({ endpoints, username: "reader", password: "secret-reader" });
      assert.equal(text((await reader.get("by-dev/x"))!.value), "1");
      await assert.rejects(reader.get("other/x"), hasCode("authentication", /denies permission/));
      await assert.rejects(
        Array.fromAsync(reader.watch(["other/"], 1n, new AbortController().signal)),
        hasCode("authentication", /denies permission/),
      );
    }
    {
      await using wrong = connectEtcd({ endpoints, username: "reader", password: "marked-secret" });
      await assert.rejects(wrong.get("by-dev/x"), (error: TidemarkError) => {
        assert.doesNotMatch(JSON.stringify([error.message, error.hint, String(error.cause)]), /marked-secret/);
        return error.code === "authentication";
      });
    }
    {
      // As from a file that is rotated.
      let now = "rotated-away";
      await using rotated = connectEtcd({ endpoints, username: "reader", password: () => Promise.resolve(now) });
      await assert.rejects(rotated.get("by-dev/x"), hasCode("authentication", /./));
      now = "secret-reader";
      assert.equal(text((await rotated.get("by-dev/x"))!.value), "1");
    }
    await using nobody = connectEtcd({ endpoints });
    await assert.rejects(nobody.get("by-dev/x"), hasCode("authentication", /wants a login/));
  } finally {
    await etcdctl(server.address, [...admin, "auth", "disable"]);
  }
  await using etcd = connectEtcd({ endpoints, username: "reader", password: "secret-reader" });
  await assert.rejects(etcd.get("by-dev/x"), hasCode("authentication", /no login enabled/));
});

Deno.test("EtcdClient logs in again when the server forgot its token", async () => {
  await using server = new OwnEtcd();
  await server.start();
  await etcdctl(server.address, ["user", "add", "root:pw"]);
  await etcdctl(server.address, ["user", "grant-role", "root", "root"]);
  await etcdctl(server.address, ["auth", "enable"]);
  await using etcd = connectEtcd({ endpoints: [server.address], username: "root", password: "pw", rounds: 30 });
  const from = await etcd.put("k", "1") + 1n;
  const stop = new AbortController();
  const batches = etcd.watch(["k"], from, stop.signal)[Symbol.asyncIterator]();
  const first = batches.next();
  await etcd.put("k", "2");
  assert.equal((await first).value.revision, from);
  await server.kill();
  await server.start({ username: "root", password: "pw" });
  assert.equal(text((await etcd.get("k"))!.value), "2");
  const second = batches.next();
  await etcd.put("k", "3");
  assert.equal(text((await second).value.events[0].kv.value), "3");
  stop.abort();
  await assert.rejects(batches.next());
});

Deno.test("EtcdClient checks the certificate for the address where the endpoint is one", async () => {
  const dir = await makeCertificates("etcd.example", "127.0.0.1");
  try {
    await using server = new OwnEtcd({ tlsDir: dir });
    const tls = { ca: Deno.readFileSync(`${dir}/ca.pem`) };
    await server.start({ tls });
    await using etcd = connectEtcd({ endpoints: [`https://${server.address}`], tls });
    await etcd.put("k", "1");
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("EtcdClient speaks TLS with authority, server name and client certificate, and explains what is wrong", async () => {
  const dir = await makeCertificates("etcd.example");
  const pem = (name: string): Uint8Array => Deno.readFileSync(`${dir}/${name}.pem`);
  try {
    await using server = new OwnEtcd({ tlsDir: dir, clientCerts: true });
    const tls = { ca: pem("ca"), cert: pem("client"), key: pem("client-key"), serverName: "etcd.example" };
    await server.start({ tls });
    const endpoints = [server.address];
    {
      await using etcd = connectEtcd({ endpoints, tls });
      await etcd.put("k", "1");
      assert.equal(text((await etcd.get("k"))!.value), "1");
    }
    for (
      const wrong of [
        { ...tls, serverName: undefined },
        { ...tls, ca: undefined },
        { ...tls, cert: undefined, key: undefined },
        undefined,
      ]
    ) {
      await using etcd = connectEtcd({ endpoints, tls: wrong, rounds: 1, timeoutMs: 3_000 });
      await assert.rejects(etcd.get("k"), hasCode("unreachable", new RegExp(server.address)));
    }
    await using any = connectEtcd({ endpoints, tls: { cert: tls.cert, key: tls.key, insecure: true } });
    assert.equal(text((await any.get("k"))!.value), "1");
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
