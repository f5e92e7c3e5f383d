import { StackError } from "./stack_error.ts";

/** The ports of one stack: one block, so that two stacks never meet half way. */
export interface Ports {
  base: number;
  kafka: number;
  kafkaController: number;
  etcd: number;
  etcdPeer: number;
  s3: number;
  lite: number;
  /** First of ten ports of the source Milvus; see `components/milvus.ts`. */
  source: number;
  target: number;
  /** Client and peer port of the etcd inside a Milvus, used by the demo profile. */
  sourceEtcd: number;
  targetEtcd: number;
}

const BLOCK = 40;
/** Below 32768, where Linux begins to hand out ports of outgoing connections. */
const LOWEST = 22_000;
const HIGHEST = 32_000;

/** The ports of the block that begins at `base`. */
export function portsFrom(base: number): Ports {
  return {
    base,
    kafka: base,
    kafkaController: base + 1,
    etcd: base + 2,
    etcdPeer: base + 3,
    s3: base + 4,
    lite: base + 5,
    sourceEtcd: base + 6,
    targetEtcd: base + 8,
    source: base + 10,
    target: base + 20,
  };
}

/**
 * A block of free ports on the loopback interface. `taken` names the first ports of blocks that other stacks own, whether
 * or not they listen right now (a stopped component keeps its ports).
 */
export function choosePorts(taken: ReadonlySet<number>, base?: number): Ports {
  if (base !== undefined) {
    const busy = firstBusy(base);
    if (busy === undefined) return portsFrom(base);
    throw new StackError(
      `Port ${busy} is taken: the block from ${base} to ${base + BLOCK - 1} must be free. ` +
        "Choose another BASE_PORT, or leave it out and free ports are found",
    );
  }
  const blocks = Math.floor((HIGHEST - LOWEST) / BLOCK);
  const start = Math.floor(Math.random() * blocks);
  for (let step = 0; step < blocks; step++) {
    const candidate = LOWEST + ((start + step) % blocks) * BLOCK;
    if (!taken.has(candidate) && firstBusy(candidate) === undefined) return portsFrom(candidate);
  }
  throw new StackError(`No block of ${BLOCK} free ports between ${LOWEST} and ${HIGHEST} on 127.0.0.1`);
}

function firstBusy(base: number): number | undefined {
  for (let port = base; port < base + BLOCK; port++) {
    try {
      Deno.listen({ hostname: "127.0.0.1", port }).close();
    } catch {
      return port;
    }
  }
  return undefined;
}
