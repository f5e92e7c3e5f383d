/** The Milvus sink against the stack's real target and milvus-lite. */
import { createMilvusSink, milvusSinkSpec } from "../../../sinks/milvus/mod.ts";
import type { RowSink, TargetName } from "../../../pipeline/model/mod.ts";
import { rowSinkConformance, type RowSinkTraits, type RowSinkUnderTest } from "../../conformance/row_sink.ts";
import { attachStack } from "../../stack/control.ts";
import { stackEnv } from "../../stack/env.ts";

const signal = new AbortController().signal;

function opener(key: string, traits: RowSinkTraits): () => Promise<RowSinkUnderTest> {
  return async () => {
    const address = stackEnv()[key]!;
    if (key === "MILVUS_LITE_URI") await (await attachStack()).start("lite");
    const config = milvusSinkSpec.parse({ type: "milvus", address, max_batch_bytes: "256KiB" });
    const sink: RowSink = createMilvusSink(config);
    const used: TargetName[] = [];
    const tag = crypto.randomUUID().slice(0, 8);
    return await Promise.resolve({
      sink,
      traits,
      fresh: () => {
        const target = { db: "default", name: `sink_${tag}_${used.length}` };
        used.push(target);
        return target;
      },
      [Symbol.asyncDispose]: async () => {
        for (const target of used) await sink.dropCollection(target, signal);
        await sink.close();
      },
    });
  };
}

rowSinkConformance(
  "Milvus 2.3.5",
  opener("TARGET_URI", { complete: true, showsLargestKey: false, controlCharacters: true, upsertReplaces: true }),
);
rowSinkConformance(
  "milvus-lite",
  opener("MILVUS_LITE_URI", {
    complete: false,
    showsLargestKey: true,
    controlCharacters: false,
    upsertReplaces: false,
  }),
  { ignore: stackEnv().MILVUS_LITE_URI === undefined },
);
