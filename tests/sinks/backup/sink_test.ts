import { createFileStore, createMemoryStore } from "../../../stores/mod.ts";
import { testArchiveSink } from "../../conformance/archive_sink.ts";

testArchiveSink("backup sink in memory", {
  async store() {
    const memory = createMemoryStore();
    return { open: async () => memory, async [Symbol.asyncDispose]() {} };
  },
});

testArchiveSink("backup sink in a folder", {
  async store() {
    const path = await Deno.makeTempDir();
    return {
      open: async () => createFileStore(path),
      [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
    };
  },
});
