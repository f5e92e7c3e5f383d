import assert from "node:assert/strict";
import { countDataNodes } from "../../../sinks/milvus/bulk_import.ts";

const node = (type: string, more = {}) => ({ identifier: 1, infos: { type, ...more } });

Deno.test("countDataNodes counts the data nodes of an answer, and knows one where the target does not say it", () => {
  const answer = { nodes_info: [node("datanode"), node("querynode"), node("datanode"), null, {}, node("datacoord")] };
  assert.equal(countDataNodes(JSON.stringify(answer)), 2);
  assert.equal(countDataNodes(JSON.stringify({ nodes_info: [node("datanode", { has_error: true })] })), 1);
  for (const odd of ["", "null", "[]", "{}", '{"nodes_info":{}}', "no JSON"]) assert.equal(countDataNodes(odd), 1, odd);
});
