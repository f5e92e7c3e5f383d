/** `POST /cdc`: the API of milvus-cdc, for scripts that were written for it. */
export { reach } from "./reach.ts";
export { addCdc, CDC_PATH } from "./route.ts";
export { checkCdcSources } from "./sources.ts";
export { CdcService } from "./service.ts";
