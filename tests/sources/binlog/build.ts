/** Binlog files made by hand, for what no server of the tests writes. */
import { createParquetFile } from "../../../stores/mod.ts";

export interface EnvelopeOptions {
  readonly fieldId?: bigint;
  readonly extras?: Record<string, unknown>;
}

/** An envelope around Parquet payloads, one event each. `type`: 1 insert, 2 delete. */
export function envelopeOf(
  type: number,
  payload: Uint8Array | Uint8Array[],
  options: EnvelopeOptions = {},
): Uint8Array {
  const extras = new TextEncoder().encode(JSON.stringify(options.extras ?? { original_size: "1" }));
  const payloads = payload instanceof Uint8Array ? [payload] : payload;
  const length = 4 + 17 + 52 + 8 + 4 + extras.length;
  const file = new Uint8Array(length + payloads.reduce((sum, one) => sum + 33 + one.length, 0));
  const view = new DataView(file.buffer);
  file.set([0xbc, 0xfa, 0xff, 0x00]);
  view.setInt8(12, 0);
  view.setInt32(13, length - 4, true);
  view.setInt32(17, length, true);
  view.setBigInt64(21 + 24, options.fieldId ?? -1n, true);
  file.set([52, 16, 16, 16, 16, 16, 16, 16], 73);
  view.setInt32(81, extras.length, true);
  file.set(extras, 85);
  let at = length;
  for (const one of payloads) {
    view.setInt8(at + 8, type);
    view.setInt32(at + 9, 33 + one.length, true);
    view.setInt32(at + 13, -1, true);
    file.set(one, at + 33);
    at += 33 + one.length;
  }
  return file;
}

/** One column `val` of texts. */
export function stringParquet(values: readonly string[]): Uint8Array {
  const file = createParquetFile([{ name: "val", type: "string" }], { createdBy: "test" });
  file.writeRowGroup([values]);
  return file.finish();
}

/** One column `val` of integers. */
export function int64Parquet(values: readonly bigint[]): Uint8Array {
  const file = createParquetFile([{ name: "val", type: "int64" }], { createdBy: "test" });
  file.writeRowGroup([values]);
  return file.finish();
}
