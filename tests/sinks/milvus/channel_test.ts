import assert from "node:assert/strict";
import { FakeProxy } from "../../fakes/proxy/server.ts";
import { fromBinary } from "@bufbuild/protobuf";
import { MilvusService } from "../../../pipeline/proto/gen/milvus_pb.ts";
import { openChannel } from "../../../sinks/milvus/channel.ts";

const { showPartitions } = MilvusService.method;

Deno.test("Channel.unary sends the parts of a message as one message", async () => {
  await using proxy = await FakeProxy.start("2.6.19");
  const channel = openChannel({ address: proxy.address, tls: undefined, token: "", maxMessageBytes: 1 << 20 });
  const ask = (parts: Uint8Array | readonly Uint8Array[]) =>
    channel.unary(`/${showPartitions.parent.typeName}/${showPartitions.name}`, parts, {
      db: "",
      timeoutMs: 10_000,
      signal: new AbortController().signal,
    });
  const told = async (parts: Uint8Array | readonly Uint8Array[]) =>
    fromBinary(showPartitions.output, await ask(parts)).status?.reason;
  // Field 3 is the collection's name, which the server says again.
  const message = new TextEncoder().encode("\x1a\x05items");
  const parts = [message.subarray(0, 2), message.subarray(2, 2), message.subarray(2, 5), message.subarray(5)];
  try {
    assert.match(await told(message) ?? "", /collection=items\]/);
    assert.match(await told(parts) ?? "", /collection=items\]/);
  } finally {
    await channel.close();
  }
});
