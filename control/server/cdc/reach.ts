/** Dials what a new task names before it is made, as milvus-cdc dials its target: by `check`, in a process of its own. */
import type { CheckedText } from "../../../config/mod.ts";
import type { Json } from "../../../pipeline/json.ts";
import type { Tasks } from "../tasks.ts";
import { CdcFailure } from "./failure.ts";

/** Beside what the request itself gives a connection, ms: the process has to begin, and there is more than one to make. */
const OTHERWISE_MS = 60_000;

/** `connectSeconds`: of the request, 0 where it has none. Throws 500 with what does not answer. */
export async function reach(
  tasks: Pick<Tasks, "start">,
  checked: CheckedText,
  connectSeconds: number,
): Promise<void> {
  const worker = await tasks.start(checked, ["check"], { onLog: () => {} });
  const timer = setTimeout(() => worker.kill(), OTHERWISE_MS + connectSeconds * 1000);
  try {
    const { code, result, error } = await worker.end;
    if (code === 0) return;
    const failed = failedLines(result);
    const target = failed.find(({ what }) => /^(sinks\.|milvus )/.test(what));
    const words = failed.map(({ what, detail }) => `${what}: ${detail}`).join("; ") ||
      (error?.message ?? "nothing answered in time");
    const begin = target === undefined ? "fail to connect the source" : "fail to connect the milvus";
    throw new CdcFailure(500, `${begin}: ${checked.redact(words)}`);
  } finally {
    clearTimeout(timer);
  }
}

function failedLines(result: Json | undefined): { readonly what: string; readonly detail: string }[] {
  if (!Array.isArray(result)) return [];
  return (result as { [key: string]: Json }[]).filter(({ ok }) => ok === "fail")
    .map(({ what, detail }) => ({ what: String(what), detail: String(detail) }));
}
