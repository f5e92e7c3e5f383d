/** Writes `milvus_messages.jsonl` anew: what Milvus' own builders make of each action. `deno run -A tests/fakes/streaming/make_messages.ts` */
import { installStreaming } from "../../stack/streaming/install.ts";
import { StreamingProgram } from "../../stack/streaming/program.ts";
import { EVERY_ACTION } from "./every_action.ts";

using program = new StreamingProgram(await installStreaming(console.log));
const lines = EVERY_ACTION.map((action) => {
  const { properties, value } = program.build(action);
  return JSON.stringify({ kind: action.kind, properties, value: value.toBase64() });
});
await Deno.writeTextFile(new URL("milvus_messages.jsonl", import.meta.url), `${lines.join("\n")}\n`);
