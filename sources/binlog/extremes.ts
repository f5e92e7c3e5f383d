/** What the Parquet statistics of a field's files say of its texts: no row is read for it. */
import type { LogFile, Segment, TextExtremes } from "../../pipeline/model/mod.ts";
import { bytesSource, objectSource, openParquet } from "../../stores/mod.ts";
import { fileError } from "./damage.ts";
import { readEnvelope } from "./envelope.ts";
import type { Locate } from "./group_reader.ts";

/** Of larger files only what is asked for is fetched. */
const WHOLE_BYTES = 256n * 1024n;

/** Files of storage V1, one field each; others name no texts here. */
export async function* readExtremes(
  segment: Segment,
  fieldId: bigint,
  locate: Locate,
  signal: AbortSignal,
): AsyncIterable<TextExtremes> {
  if (segment.storageVersion > 1n || segment.manifestPath !== "") return;
  const files = segment.binlogs.find((field) => field.fieldId === fieldId)?.files ?? [];
  for (const file of files) yield await extremesOf(file, locate, signal);
}

async function extremesOf(file: LogFile, locate: Locate, signal: AbortSignal): Promise<TextExtremes> {
  const { store, key } = locate(file);
  const { path } = file;
  const texts: string[] = [];
  try {
    const size = file.size > WHOLE_BYTES ? (await store.head(key, signal))?.size : undefined;
    const source = size !== undefined && size > WHOLE_BYTES
      ? objectSource(store, key, Number(size), { signal })
      : bytesSource(await store.get(key, undefined, signal));
    const { events } = await readEnvelope(source, path);
    for (const { payload } of events) {
      const { columns, groups } = await openParquet(payload, path);
      for (let group = 0; group < groups.length; group++) {
        const { min, max } = columns[0]?.statistics(group) ?? {};
        for (const value of [min, max]) if (typeof value === "string") texts.push(value);
      }
    }
  } catch (thrown) {
    throw fileError(thrown, path);
  }
  return { path, texts };
}
