/** A change of structure in one line. */
import type { Json } from "../../pipeline/json.ts";

export function ddlText(ddl: Json): string {
  const { sentence, result, detail } = ddl as { [key: string]: Json };
  return [`${sentence}: ${result}`, ...detail === "" || detail === undefined ? [] : [String(detail)]].join(", ");
}
