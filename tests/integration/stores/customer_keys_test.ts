/** Objects under a key that goes with each request and that the service does not keep, in each kind of store. */
import assert from "node:assert/strict";
import type { ObjectStore } from "../../../pipeline/model/mod.ts";
import { checkWritable, collect, keyWithin, objectStoreSpec, openObjectStore } from "../../../stores/mod.ts";
import { serverConformance } from "../../conformance/objects.ts";
import { AZURITE_ACCOUNT, AZURITE_KEY, startAzurite } from "../../stack/azurite.ts";
import { AZURE_KEYS, GCS_KEYS, keepCustomerKeys, S3_KEYS } from "../../stack/customer_keys.ts";
import { startFakeGcs } from "../../stack/fake_gcs.ts";
import { startFaultProxy } from "../../stack/fault_proxy.ts";
import { startVersitygw } from "../../stack/versitygw.ts";
import { makeCertificates } from "./etcd_process.ts";

const dir = await makeCertificates("localhost", "127.0.0.1");
const tls = {
  cert: await Deno.readTextFile(`${dir}/server.pem`),
  key: await Deno.readTextFile(`${dir}/server-key.pem`),
};
const ca = { tls: { ca_file: `${dir}/ca.pem` } };
const keyFile = async (name: string) => {
  const path = `${dir}/${name}`;
  await Deno.writeTextFile(path, `${crypto.getRandomValues(new Uint8Array(32)).toBase64()}\n`);
  return path;
};
const [own, others] = [await keyFile("own"), await keyFile("others")];
const ended: (() => Promise<void>)[] = [async () => await Deno.remove(dir, { recursive: true })];
Deno.test.afterAll(async () => {
  for (const end of ended.reverse()) await end();
});

interface Kind {
  /** A fresh place. */
  place(): Promise<string>;
  /** `key`: the file of the customer's key. */
  config(place: string, prefix: string, key: string | undefined): unknown;
  readonly copies: boolean;
}

async function kinds(): Promise<Readonly<Record<string, Kind>>> {
  const [s3, azure, gcs] = [await startVersitygw(), await startAzurite({ loose: true }), await startFakeGcs()];
  const proxies = ([[s3.endpoint, S3_KEYS], [azure.origin, AZURE_KEYS], [gcs.endpoint, GCS_KEYS]] as const)
    .map(([to, dialect]) => {
      const proxy = startFaultProxy(to, tls);
      proxy.injure(keepCustomerKeys(dialect));
      return proxy;
    });
  for (const each of [s3, azure, gcs, ...proxies]) ended.push(async () => await each[Symbol.asyncDispose]());
  const [s3At, azureAt, gcsAt] = proxies.map(({ origin }) => origin);
  const fresh = async (create: (name: string) => Promise<void>) => {
    const name = `objects-${crypto.randomUUID().slice(0, 8)}`;
    await create(name);
    return name;
  };
  const { accessKeyId: access_key_id, secretAccessKey: secret_access_key } = s3.root;
  const azureLogin = { account: AZURITE_ACCOUNT, account_key: AZURITE_KEY };
  const named = (key: string | undefined) => key === undefined ? {} : { customer_key_file: key };
  return {
    s3: {
      place: () => fresh((name) => s3.createBucket(name)),
      config: (bucket, prefix, key) => ({
        ...{ type: "s3", endpoint: s3At, bucket, prefix, access_key_id, secret_access_key, ...ca },
        ...(key === undefined ? {} : { sse: { mode: "sse-c", ...named(key) } }),
      }),
      copies: true,
    },
    azure: {
      place: () => fresh((name) => azure.createContainer(name)),
      config: (container, prefix, key) => ({
        ...{ type: "azure", endpoint: `${azureAt}/${AZURITE_ACCOUNT}`, container, prefix, ...azureLogin, ...ca },
        ...named(key),
      }),
      copies: false,
    },
    gcs: {
      place: () => fresh((name) => gcs.createBucket(name)),
      config: (bucket, prefix, key) => ({
        ...{ type: "gcs", endpoint: gcsAt, bucket, prefix, anonymous: true, ...ca },
        ...named(key),
      }),
      copies: true,
    },
  };
}

const open = async (config: unknown): Promise<ObjectStore> =>
  await openObjectStore(objectStoreSpec.parse(config), { retry: false });

async function* large(): AsyncIterable<Uint8Array> {
  for (let i = 0; i < 20; i++) yield await Promise.resolve(new Uint8Array(1024 ** 2).fill(i));
}

for (const [name, kind] of Object.entries(await kinds())) {
  serverConformance(
    `${name} under a customer's key`,
    async (prefix) => await open(kind.config(await kind.place(), prefix, own)),
    { copies: kind.copies },
  );

  Deno.test(`a customer's key in ${name} goes with every request, and another one is refused by a sentence that names its setting`, async () => {
    const place = await kind.place();
    const [mine, plain, theirs] = await Promise.all(
      [own, undefined, others].map((key) => open(kind.config(place, "", key))),
    ) as [ObjectStore, ObjectStore, ObjectStore];
    const small = new TextEncoder().encode("hello");
    await mine.put("small", small);
    assert.equal((await mine.put("large", large())).size, 20n * 1024n ** 2n);
    assert.equal((await collect(mine.stream("large"))).length, 20 * 1024 ** 2);
    assert.equal((await mine.head("large"))?.size, 20n * 1024n ** 2n);
    await plain.put("plain", small);

    const refused = (hint: RegExp) => (error: { code: string; hint: string }) => {
      assert.match(error.code, /^(refused|authentication)$/);
      assert.match(error.hint, hint);
      return true;
    };
    const [missing, another] = [/name the key's file in .*customer_key_file/, /another key than .*customer_key_file/];
    for (const key of ["small", "large"]) {
      await assert.rejects(plain.get(key), refused(missing));
      await assert.rejects(theirs.get(key), refused(another));
    }
    await assert.rejects(mine.get("plain"), refused(another));
    if (name !== "gcs") {
      // What differs is seen without reading, too: of a HEAD S3 says nothing but its status.
      await assert.rejects(plain.head("small"), refused(missing));
      await assert.rejects(mine.head("plain"), refused(another));
    }

    // From a place without a key to one with, back, and from key to key.
    if (kind.copies) {
      for (
        const [from, key, to] of [[plain, "plain", mine], [mine, "small", plain], [mine, "small", theirs]] as const
      ) {
        assert(await to.copyFrom(from, key, "copy"));
        assert.deepEqual(await to.get("copy"), small);
      }
    } else {
      assert.equal(await plain.copyFrom(mine, "small", "copy"), undefined);
    }
    // A target's own reader has no such key: nothing may be left where it is for an import.
    assert.equal(keyWithin(mine, "small", plain), undefined);
    assert.equal(keyWithin(plain, "plain", plain), "plain");
    for (const store of [mine, plain, theirs]) await store.close();
  });

  Deno.test(`check finds nothing amiss in ${name} with a customer's key`, async () => {
    const store = await openObjectStore(objectStoreSpec.parse(kind.config(await kind.place(), "", own)));
    const lines = await checkWritable("vault", store, "", new AbortController().signal);
    assert.equal(lines[0]!.ok, "ok");
    assert.equal(/copies by the server/.test(lines[0]!.detail), kind.copies, lines[0]!.detail);
    // Without copies by the service it is said what is done instead, and nothing else.
    assert.deepEqual(lines.slice(1).map(({ ok }) => ok), kind.copies ? [] : ["warn"]);
    assert.deepEqual(await Array.fromAsync(store.list("")), []);
    await store.close();
  });
}
