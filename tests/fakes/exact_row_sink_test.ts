import { rowSinkConformance } from "../conformance/row_sink.ts";
import { ExactRowSink } from "./exact_row_sink.ts";

rowSinkConformance("ExactRowSink", () => {
  const sink = new ExactRowSink("exact");
  let names = 0;
  return Promise.resolve({
    sink,
    traits: { complete: true, showsLargestKey: true, controlCharacters: true, upsertReplaces: true },
    fresh: () => ({ db: "default", name: `c${names++}` }),
    [Symbol.asyncDispose]: () => sink.close(),
  });
});
