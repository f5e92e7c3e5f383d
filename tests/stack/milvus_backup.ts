/** milvus-backup, the peer whose backups are read here and which reads ours, built from its released module. */
import { installOnce } from "./cache.ts";
import { runCommand } from "./command.ts";
import { StackError } from "./stack_error.ts";
import { VERSIONS } from "./versions.ts";

const MODULE = "github.com/zilliztech/milvus-backup";

/** The program: what `MILVUS_BACKUP` names, or the pinned release, built once. */
export async function installMilvusBackup(
  log: (line: string) => void = () => {},
  signal?: AbortSignal,
): Promise<string> {
  const named = Deno.env.get("MILVUS_BACKUP");
  if (named) return named;
  const { version, sum } = VERSIONS.milvusBackup;
  const dir = await installOnce(`milvus-backup-${version}`, version, async (dir) => {
    log(`build milvus-backup ${version} (Go, up to 3 minutes)`);
    const options = {
      purpose: `Building milvus-backup ${version}`,
      log: `${dir}.log`,
      missing: "Install Go (https://go.dev/dl, or Debian: apt-get install golang).",
      ...(signal === undefined ? {} : { signal }),
    };
    // Its go.mod replaces modules, which `go install` refuses. Checked here by its sum: not every checksum database has it.
    const described = `${dir}/module.json`;
    await runCommand("go", ["mod", "download", "-json", `${MODULE}@${version}`], {
      ...options,
      log: described,
      env: { GONOSUMDB: MODULE, GOFLAGS: "-mod=mod" },
      cwd: dir,
    });
    const text = await Deno.readTextFile(described);
    const { Dir: source, Sum: found } = JSON.parse(text.slice(text.indexOf("{"))) as { Dir: string; Sum: string };
    if (found !== sum) throw new StackError(`${MODULE}@${version} has the sum ${found}, expected ${sum}`);
    await runCommand("go", [
      "build",
      "-buildvcs=false",
      "-ldflags",
      `-X ${MODULE}/version.Version=${version}`,
      "-o",
      dir,
      ".",
    ], {
      ...options,
      env: { CGO_ENABLED: "0", GOFLAGS: "-mod=readonly" },
      cwd: source,
    });
  });
  return `${dir}/milvus-backup`;
}
