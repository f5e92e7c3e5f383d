import { createMemoryStateStore, createStateMemory, loseLease } from "../../../stores/state/memory.ts";
import { testStateStore } from "../../conformance/state.ts";

testStateStore("createMemoryStateStore", () => {
  const memory = createStateMemory();
  return Promise.resolve({
    open: () => createMemoryStateStore(memory),
    loseLease: () => Promise.resolve(loseLease(memory)),
    crashWhileWriting: () => Promise.resolve(),
    close: () => Promise.resolve(),
  });
});
