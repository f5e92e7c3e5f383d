/** Pulsar's jars, by Maven. Only tests of that queue need them, so that they fetch them when they are first run. */
import { installOnce } from "../cache.ts";
import { runCommand } from "../command.ts";
import { VERSIONS } from "../versions.ts";

export const INSTALL_JAVA = "Install Maven and Java 17 (Debian: apt-get install maven openjdk-17-jdk-headless).";

const HERE = import.meta.dirname!;

/** A Java class path. */
export async function installPulsar(signal?: AbortSignal): Promise<string> {
  const version = VERSIONS.pulsar;
  const dir = await installOnce(`pulsar-${version}`, version, async (dir) => {
    await runCommand("mvn", [
      "-q",
      "-B",
      "-gs",
      `${HERE}/settings.xml`,
      "-f",
      `${HERE}/pom.xml`,
      `-Dpulsar.version=${version}`,
      "dependency:copy-dependencies",
      "-DincludeScope=runtime",
      `-DoutputDirectory=${dir}`,
    ], {
      purpose: `Installing Pulsar ${version}`,
      log: `${dir}.log`,
      missing: INSTALL_JAVA,
      ...(signal === undefined ? {} : { signal }),
    });
  });
  return `${dir}/*`;
}
