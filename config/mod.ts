/** Configuration: YAML files to a checked pipeline, and from that to components. */
export { flowDependencies, type FlowHooks } from "./flow.ts";
export { COMMITTED_SCHEMA, pipelineJsonSchema, pipelineJsonSchemaText } from "./json_schema.ts";
export {
  configError,
  loadCheckedConfig,
  loadConfig,
  type LoadedConfig,
  type LoadedDocument,
  type LoadOptions,
} from "./load.ts";
export { nearest } from "./nearest.ts";
export { formatProblem, type Position, type Problem } from "./problem.ts";
export { createRedactor, MASK, type Redactor } from "./redact.ts";
export { REFERENCE_PAGE, SERVER_PAGE, withReference, withServerReference } from "./reference.ts";
export { type PipelineConfig, pipelineSpec, type SinkConfig } from "./schema.ts";
export { type ComponentOptions, type Components, createComponents, type NamedSink } from "./wire.ts";
export {
  type BackupPlace,
  type BackupSink,
  encryptedSinks,
  openPlace,
  openPlaces,
  type PlaceAccess,
} from "./places.ts";
export { type PointedProblem } from "./pointers.ts";
export { loadServerConfig } from "./server_load.ts";
export { type CdcConfig } from "./cdc_spec.ts";
export {
  isLoopback,
  type ListenConfig,
  type Notice,
  type Role,
  type ServerConfig,
  type ServerFile,
} from "./server_spec.ts";
export { type CheckedText, checkTaskText, maskedConfig } from "./task_text.ts";
export { stateName } from "./state_name.ts";
