import assert from "node:assert/strict";
import { Agent } from "node:http";
import { checkWritable } from "../../../stores/mod.ts";
import { FakeS3, s3Refusal } from "./fake_s3.ts";

const signal = new AbortController().signal;

const VIRTUAL = {
  "Aliyun OSS": ["SecondLevelDomainForbidden", "Please use virtual hosted style to access."],
  "Tencent COS": ["PathStyleDomainForbidden", "The bucket must be addressed using COS virtual-styled domain."],
  "Huawei OBS": ["VirtualHostDomainRequired", "Virtual host domain is required"],
} as const;

for (const [name, [code, words]] of Object.entries(VIRTUAL)) {
  Deno.test(`check says of ${name} that the bucket belongs into the host name, and path_style: false puts it there`, async () => {
    const hosts = new Set<string | null>();
    await using s3 = new FakeS3({
      answer: (request, { pathname }) => {
        hosts.add(request.headers.get("host"));
        return /^\/backups(\/|$)/.test(pathname) ? s3Refusal(403, code, words) : undefined;
      },
    });
    const wrong = s3.store({ bucket: "backups" });
    const [line, ...more] = await checkWritable("backup storage", wrong, "", signal);
    assert.deepEqual([line!.ok, line!.code, more], ["fail", "refused", []]);
    assert.match(line!.detail, new RegExp(`wants the bucket in the host name: ${code}.*Set path_style: false`));
    await wrong.close();
    hosts.clear();
    // Every name is this machine.
    const httpAgent = new Agent({
      lookup: (_host, options, done) =>
        options.all === true ? done(null, [{ address: "127.0.0.1", family: 4 }]) : done(null, "127.0.0.1", 4),
    });
    const endpoint = `http://oss.example:${s3.port}`;
    const right = s3.store({
      endpoint,
      bucket: "backups",
      pathStyle: false,
      agents: { httpAgent, httpsAgent: httpAgent },
    });
    await right.put("k", new Uint8Array([1, 2, 3]));
    assert.deepEqual(await right.get("k"), new Uint8Array([1, 2, 3]));
    assert.deepEqual(hosts, new Set([`backups.oss.example:${s3.port}`]));
    await right.close();
    httpAgent.destroy();
  });
}

Deno.test("createS3Store sends no body in aws-chunked, no checksum in a header, and parts of one size", async () => {
  const strange = (headers: Headers) =>
    [...headers].filter(([name, value]) =>
      /^x-amz-(checksum|sdk-checksum|trailer|decoded)/.test(name) || /aws-chunked/.test(value) ||
      /^STREAMING/.test(value)
    );
  await using s3 = new FakeS3({
    equalParts: true,
    answer: (request) =>
      strange(request.headers).length > 0 ? s3Refusal(400, "InvalidArgument", "Unsupported header") : undefined,
  });
  const store = s3.store({ uploadPartBytes: 10, copyObjectMaxBytes: 10n, copyPartBytes: 10n });
  await store.put("whole", new Uint8Array(100), { ifAbsent: true, contentType: "application/json" });
  await store.put(
    "parts",
    (async function* () {
      for (let i = 0; i < 9; i++) yield new Uint8Array(4);
    })(),
  );
  await store.copyFrom(store, "parts", "copy");
  await store.get("parts", { start: 1, end: 9 });
  assert.equal((await store.get("copy")).length, 36);
  assert.deepEqual(s3.headers.flatMap(strange), []);
  // Of the deletion in batches the client insists on a checksum: where that is refused, objects go one by one.
  await store.delete(["whole", "parts", "copy"]);
  assert.equal(s3.objects.size, 0);
  await store.close();
});

Deno.test("check says that Backblaze refuses checksums, instead of taking its refusal for a comparison", async () => {
  const unsupported = ({ headers }: Request) =>
    [...headers.keys()].some((name) => /^x-amz-(sdk-)?checksum/.test(name))
      ? s3Refusal(400, "InvalidArgument", "Unsupported header 'x-amz-checksum-sha256' received for this API call.")
      : undefined;
  await using s3 = new FakeS3({ answer: unsupported });
  const store = s3.store();
  const lines = await checkWritable("backup storage", store, "", signal);
  assert.deepEqual(lines.map(({ ok }) => ok), ["ok", "warn", "warn"], JSON.stringify(lines));
  assert.match(lines[1]!.detail, /^checksums .* are refused: none are sent/);
  assert.match(lines[2]!.detail, /^deletion in batches is refused: objects are deleted one by one/);
  assert.equal(s3.objects.size, 0);
  await store.close();
});
