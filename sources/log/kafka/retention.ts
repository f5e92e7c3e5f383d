/** What a topic's configuration says of how long its records are kept. */
import type { LogRetention } from "../../../pipeline/model/mod.ts";

export const RETENTION_KEYS = ["retention.ms", "retention.bytes", "cleanup.policy"] as const;

interface Setting {
  readonly name: string;
  readonly value?: string | null | undefined;
}

/** Kafka removes whole segments by their newest record: a record is there for at least so long, as far as time goes. */
export function retentionOf(settings: readonly Setting[]): LogRetention {
  const value = (name: typeof RETENTION_KEYS[number]) => settings.find((one) => one.name === name)?.value ?? undefined;
  const policy = value("cleanup.policy") ?? "delete";
  if (policy.includes("compact")) {
    return { ms: undefined, why: `cleanup.policy is ${policy}: any record goes as soon as a later one has its key` };
  }
  const time = value("retention.ms");
  const bytes = value("retention.bytes") ?? "-1";
  const size = bytes === "-1" ? "" : `retention.bytes is ${bytes}: what is older than that goes earlier`;
  if (time === undefined) return { ms: undefined, why: "Not known: the broker does not say retention.ms" };
  if (time === "-1") return { ms: undefined, why: size === "" ? "Kept for ever: retention.ms is -1" : size };
  return { ms: Number(time), why: size };
}
