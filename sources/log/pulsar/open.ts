/** Opens the log on Pulsar. The client is loaded when it is first used. */
import type { LogSource } from "../../../pipeline/model/mod.ts";
import { pulsarServer } from "./login.ts";
import type { PulsarLogOptions } from "./source.ts";
import type { PulsarLogConfig } from "./spec.ts";

/** Reads the token's and certificates' files, and throws `config` where one cannot be read. */
export async function openPulsarLog(config: PulsarLogConfig, options: PulsarLogOptions = {}): Promise<LogSource> {
  const server = await pulsarServer(config);
  let opened: Promise<LogSource> | undefined;
  const log = () => opened ??= import("./source.ts").then((it) => it.createPulsarLog(config, server, options));
  return {
    queue: "pulsar",
    topics: async (signal) => (await log()).topics(signal),
    bounds: async (topic, signal) => (await log()).bounds(topic, signal),
    async *tail(...request) {
      yield* (await log()).tail(...request);
    },
    check: async (signal) => (await log()).check(signal),
    async close() {
      await (await opened)?.close();
    },
  };
}
