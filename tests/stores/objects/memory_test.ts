import { createMemoryStore } from "../../../stores/mod.ts";
import { objectStoreConformance } from "../../conformance/objects.ts";

objectStoreConformance("memory", async () => ({
  store: createMemoryStore(),
  sibling: createMemoryStore({ name: "sibling" }),
  async [Symbol.asyncDispose]() {},
}));
