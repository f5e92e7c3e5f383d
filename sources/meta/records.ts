/** Records of etcd in a file: one JSON object a line, `{"key": …, "value": base64}`. */
import { TidemarkError } from "../../pipeline/errors.ts";
import type { MetaRecord } from "./keys.ts";

/** Throws `damaged` with the number of the line that is wrong. */
export function* parseRecords(text: string): Generator<MetaRecord> {
  let number = 0;
  for (const line of text.split("\n")) {
    number++;
    if (line.trim() === "") continue;
    let key: unknown;
    let value: unknown;
    try {
      ({ key, value } = JSON.parse(line) as { key: unknown; value: unknown });
    } catch (cause) {
      throw badLine(number, cause);
    }
    if (typeof key !== "string" || typeof value !== "string") throw badLine(number);
    try {
      yield { key, value: Uint8Array.fromBase64(value) };
    } catch (cause) {
      throw badLine(number, cause);
    }
  }
}

function badLine(line: number, cause?: unknown): TidemarkError {
  return new TidemarkError("damaged", `Line ${line} of the records is not of the form {"key": text, "value": base64}`, {
    hint: "Such a file has one key of etcd a line, for example made with etcdctl get --prefix by-dev -w json and jq.",
    cause,
  });
}
