/** The collection's name in a serialised insert or delete: field 4 of both, in both generations. */
import { WireError, WireReader } from "../wire.ts";

const COLLECTION_NAME = 4 << 3 | 2;

/** Empty where there is none. */
export function collectionNameOf(value: Uint8Array): string {
  try {
    const reader = new WireReader(value);
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag === COLLECTION_NAME) return reader.text();
      reader.skip(tag);
    }
  } catch (thrown) {
    if (!(thrown instanceof WireError)) throw thrown;
  }
  return "";
}
