/** What a run remembers as the text of a document; `run_state.ts` reads it again. */
import type { Json } from "../../json.ts";
import type { Position, Queue } from "../../model/mod.ts";
import { storePosition } from "../../positions/mod.ts";
import { indented, RememberedTexts } from "./remembered_texts.ts";
import type { RunState, SinkState } from "./run_state.ts";

/** The document's text. Integers stay exact. `texts`: of the writings before, whose text it is where nothing has changed. */
export function formatRunState(state: RunState, texts: RememberedTexts = new RememberedTexts()): string {
  const { status } = state;
  const { collections } = (status ?? {}) as { readonly collections?: Json };
  const text = objectText({
    ...state,
    restore: state.restore ?? null,
    topicIds: Object.fromEntries(state.topicIds),
    sinks: new Written(objectText(
      Object.fromEntries(
        [...state.sinks].map(([name, sink]) => [name, new Written(sinkText(name, sink, state.queue, texts))]),
      ),
      1,
    )),
    status: Array.isArray(collections)
      ? new Written(objectText({
        ...status as Record<string, Json>,
        collections: new Written(bracketed("[", texts.of("status", collections, 3), "]", 2)),
      }, 1))
      : status,
  }, 0);
  texts.keep(["status", ...[...state.sinks.keys()].flatMap((name) => LISTS.map((what) => listName(name, what)))]);
  return text;
}

const LISTS = ["collections", "vchannels"] as const;

function listName(sink: string, what: typeof LISTS[number]): string {
  return `${what} of ${sink}`;
}

function sinkText(name: string, sink: SinkState, queue: Queue, texts: RememberedTexts): string {
  const list = (what: typeof LISTS[number], items: readonly unknown[]) =>
    new Written(bracketed("[", texts.of(listName(name, what), items, 4), "]", 3));
  return objectText({
    collections: list(
      "collections",
      [...sink.collections.values()].map(({ partitionsRefused: _, ...own }) => ({
        ...own,
        refusedRows: [...own.refusedRows],
        made: [...own.made],
      })),
    ),
    databases: [...sink.databases].map(([id, name]) => ({ id, name })),
    positions: Object.fromEntries([...sink.positions].map(([pchannel, point]) => [pchannel, stored(point, queue)])),
    vchannels: list("vchannels", [...sink.vchannels.values()].map((own) => stored(own, queue))),
    ...(sink.bases === undefined ? {} : { bases: sink.bases }),
    made: [...sink.made],
    extra: sink.extra,
  }, 2);
}

/** JSON as it stands at its place in the document. */
class Written {
  constructor(readonly text: string) {}
}

/** As `formatJson` writes an object `depth` levels down. */
function objectText(value: object, depth: number): string {
  const parts = Object.entries(value).flatMap(([key, item]) =>
    item === undefined
      ? []
      : [`${JSON.stringify(key)}: ${item instanceof Written ? item.text : indented(item, depth + 1)}`]
  );
  return bracketed("{", parts, "}", depth);
}

function bracketed(open: string, parts: readonly string[], close: string, depth: number): string {
  if (parts.length === 0) return open + close;
  const line = "\n" + " ".repeat(depth);
  return `${open}${line} ${parts.join(`,${line} `)}${line}${close}`;
}

function stored<T extends { readonly offset: Position }>(place: T, queue: Queue) {
  return { ...place, offset: storePosition(place.offset, queue) };
}
