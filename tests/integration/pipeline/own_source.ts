/** A source Milvus of a test's own, whose queue is not the stack's Kafka; the target is the stack's. */
import { type MilvusSettings, PyMilvus, type Stack, stackEnv, startStack } from "../../stack/mod.ts";
import { PulsarStandalone } from "../../stack/pulsar/standalone.ts";
import type { Servers } from "./servers.ts";

/** Of Milvus' channels, and of what it keeps in its namespace besides. */
const MADE_BY_MILVUS = { allowAutoTopicCreation: true, allowAutoTopicCreationType: "non-partitioned" };
/** Ticks come five a second: a ledger ends within a minute, so that whoever follows passes many of them. */
const LEDGER_ENTRIES = 150;

export interface OwnSource extends Servers, AsyncDisposable {
  /** The source's etcd and Milvus. */
  readonly stack: Stack;
}

/** Milvus, etcd and a folder for its files; a target without what a test of `prefix` left behind. */
export async function startOwnSource(prefix: string, settings: MilvusSettings): Promise<OwnSource> {
  const lane = stackEnv();
  await using opened = new AsyncDisposableStack();
  const stack = opened.use(
    await startStack("full", {
      name: `${prefix}${Deno.pid}`,
      without: ["kafka", "s3", "lite", "target"],
      source: { "common.storageType": "local", ...settings },
    }),
  );
  const { TARGET_URI, TARGET_MANAGEMENT } = lane as { TARGET_URI: string; TARGET_MANAGEMENT: string };
  const env: Record<string, string> = {
    ...stack.env,
    TARGET_URI,
    TARGET_MANAGEMENT,
    SOURCE_FILES: `${stack.dir}/source/local`,
  };
  const client = async (uri: string) => opened.use(await PyMilvus.start(uri, { python: env.PYTHON! }));
  const [source, target] = await Promise.all([client(env.SOURCE_URI!), client(TARGET_URI)]);
  // What is on the source goes with it.
  const clean = async () => void await target.call("truncate_names", { prefix });
  await clean();
  opened.defer(clean);
  const owned = opened.move();
  return { env, source, target, stack, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

export async function startPulsar(): Promise<PulsarStandalone> {
  return await PulsarStandalone.start({
    settings: {
      ...MADE_BY_MILVUS,
      managedLedgerMaxEntriesPerLedger: LEDGER_ENTRIES,
      managedLedgerMinLedgerRolloverTimeMinutes: 0,
    },
  });
}

/** Of a Milvus on `pulsar`. */
export function onPulsar({ address, admin }: PulsarStandalone): MilvusSettings {
  const [host, port] = address.split(":");
  return {
    "mq.type": "pulsar",
    "pulsar.address": host!,
    "pulsar.port": parseInt(port!, 10),
    "pulsar.webport": parseInt(new URL(admin).port, 10),
  };
}
