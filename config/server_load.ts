/** `server.yaml` to a checked configuration. */
import { loadDocument, type LoadedDocument, type LoadOptions } from "./load.ts";
import { type ServerFile, serverFileSpec } from "./server_spec.ts";

/** As `loadConfig`, for `tidemark serve`. */
export function loadServerConfig(files: readonly string[], options: LoadOptions = {}): LoadedDocument<ServerFile> {
  return loadDocument(files, serverFileSpec, () => [], options);
}
