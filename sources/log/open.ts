/** Opens the log of the configured kind. Its client takes a third of the program's start, so only a run loads it. */
import type { LogSource } from "../../pipeline/model/mod.ts";
import type { KafkaLogOptions } from "./kafka.ts";
import type { KafkaLogConfig } from "./spec.ts";

/** Reads the certificate files. Throws `config` where one cannot be read; connects to nothing. */
export async function openKafkaLog(config: KafkaLogConfig, options: KafkaLogOptions = {}): Promise<LogSource> {
  const { withLateValidators } = await import("./late_validators.ts");
  const { createKafkaLog } = await withLateValidators(() => import("./kafka.ts"));
  return await createKafkaLog(config, options);
}
