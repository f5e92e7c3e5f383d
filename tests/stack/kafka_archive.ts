/**
 * The classes of Kafka as the JVM keeps them in memory: a broker that maps them need not read, check and link 6000 classes, half
 * of the processor time of its start.
 */
import { cacheRoot, installOnce } from "./cache.ts";
import { isReady } from "./component.ts";
import { kafka } from "./components/kafka.ts";
import { eventually } from "./eventually.ts";
import { freePort } from "./free_port.ts";
import { VERSIONS } from "./versions.ts";

const NAME = `kafka-${VERSIONS.kafka}-classes`;

/** Option of `java`. A JVM that finds no archive of its own classes there does without, in silence. */
export function kafkaArchiveOption(): string {
  return `-XX:SharedArchiveFile=${cacheRoot()}/${NAME}/classes.jsa`;
}

/** Writes the archive once, at the end of a broker that has been up for a moment. */
export async function installKafkaArchive(classpath: string, signal: AbortSignal): Promise<void> {
  await installOnce(NAME, VERSIONS.kafka, async (dir) => {
    const work = `${dir}/broker`;
    await Deno.mkdir(work);
    const component = await kafka({
      ...{ dir: work, log: `${dir}.log`, classpath },
      ...{ port: freePort(), controllerPort: freePort() },
    });
    const child = new Deno.Command(component.command, {
      args: [`-XX:ArchiveClassesAtExit=${dir}/classes.jsa`, ...component.args],
      cwd: work,
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    let ended = false;
    const end = child.status.then(() => ended = true);
    try {
      await eventually(
        "a broker answers, whose classes are to be kept",
        async () => ended || signal.aborted || await isReady(component.ready),
      );
    } finally {
      if (!ended) child.kill("SIGTERM");
      await end;
    }
    signal.throwIfAborted();
    await Deno.remove(work, { recursive: true });
  });
}
