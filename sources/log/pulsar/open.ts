/** Opens the log on Pulsar. The client is loaded when it is first used. */
import type { LogSource } from "../../../pipeline/model/mod.ts";
import { lazyLog } from "../lazy_log.ts";
import { pulsarServer } from "./login.ts";
import type { PulsarLogOptions } from "./source.ts";
import type { PulsarLogConfig } from "./spec.ts";

/** Reads the token's and certificates' files, and throws `config` where one cannot be read. */
export async function openPulsarLog(config: PulsarLogConfig, options: PulsarLogOptions = {}): Promise<LogSource> {
  const server = await pulsarServer(config);
  return lazyLog("pulsar", async () => (await import("./source.ts")).createPulsarLog(config, server, options));
}
