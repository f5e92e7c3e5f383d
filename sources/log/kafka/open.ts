/** Opens the log of the configured kind. Its client takes a third of the program's start, so only who reads it loads it. */
import type { LogSource } from "../../../pipeline/model/mod.ts";
import { lazyLog } from "../lazy_log.ts";
import type { KafkaLogOptions } from "./source.ts";
import { kafkaOptions } from "./options.ts";
import type { KafkaLogConfig } from "./spec.ts";

/** Reads the certificate files, and throws `config` where one cannot be read. Loads the client when it is first used. */
export async function openKafkaLog(config: KafkaLogConfig, options: KafkaLogOptions = {}): Promise<LogSource> {
  const client = await kafkaOptions(config);
  return lazyLog("kafka", async () => {
    const { withLateValidators } = await import("./late_validators.ts");
    const { createKafkaLog } = await withLateValidators(() => import("./source.ts"));
    return createKafkaLog(config, client, options);
  });
}
