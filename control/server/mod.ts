/** The control plane: a server of many tasks, and the one beside a run. */
export { type Sidecar, startSidecar } from "./sidecar.ts";
export { serve, type ServeOptions } from "./serve.ts";
