/** What follows the command MESSAGE, as a producer makes it. */
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { MessageMetadataSchema, SingleMessageMetadataSchema } from "../../../../pipeline/proto/gen/pulsar_api_pb.ts";
import { crc32cOfBytes } from "../../../../sources/log/crc32c.ts";

export function messageOf(metadata: MessageInitShape<typeof MessageMetadataSchema>, payload: Uint8Array): Uint8Array {
  const head = toBinary(
    MessageMetadataSchema,
    create(MessageMetadataSchema, {
      producerName: "standalone-0-1",
      sequenceId: 0n,
      publishTime: 1_700_000_000_000n,
      ...metadata,
    }),
  );
  const rest = new Uint8Array(10 + head.length + payload.length);
  const view = new DataView(rest.buffer);
  view.setUint16(0, 0x0e01);
  view.setUint32(6, head.length);
  rest.set(head, 10);
  rest.set(payload, 10 + head.length);
  view.setUint32(2, crc32cOfBytes(rest.subarray(6)));
  return rest;
}

export function batchPayload(
  messages: readonly { readonly value: Uint8Array | null; readonly properties?: Readonly<Record<string, string>> }[],
): Uint8Array {
  return Uint8Array.from(messages.flatMap(({ value, properties = {} }) => {
    const single = toBinary(
      SingleMessageMetadataSchema,
      create(SingleMessageMetadataSchema, {
        payloadSize: value?.length ?? 0,
        properties: Object.entries(properties).map(([key, value]) => ({ key, value })),
        ...(value === null ? { nullValue: true } : {}),
      }),
    );
    return [0, 0, single.length >> 8, single.length & 0xff, ...single, ...value ?? []];
  }));
}
