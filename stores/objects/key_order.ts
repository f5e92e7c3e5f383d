/** Listings in key order, from stores that do not promise it. */
import { TidemarkError } from "../../pipeline/errors.ts";
import type { ObjectInfo } from "../../pipeline/model/mod.ts";
import { compareKeys } from "./key.ts";

/**
 * Sorts within a page. Across pages the store must keep the order itself: an account with a hierarchical namespace does not
 * where a name has a character that sorts before the slash, and whoever continues a listing behind its last key would lose
 * objects. So it throws `unsupported` instead. Keys of Milvus and of backups are not of that kind.
 */
export async function* inKeyOrder(
  pages: AsyncIterable<readonly ObjectInfo[]>,
  location: string,
): AsyncIterable<ObjectInfo> {
  let last: string | undefined;
  for await (const page of pages) {
    for (const info of [...page].sort((a, b) => compareKeys(a.key, b.key))) {
      if (last !== undefined && compareKeys(info.key, last) <= 0) {
        throw new TidemarkError("unsupported", `${location} lists ${info.key} after ${last}, which is not key order`, {
          hint: "Keep nothing else in this container, or use one without a hierarchical namespace.",
        });
      }
      last = info.key;
      yield info;
    }
  }
}
