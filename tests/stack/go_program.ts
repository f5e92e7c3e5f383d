/** A program in Go that belongs to the tests, with modules that its go.mod pins. */
import { createHash } from "node:crypto";
import { installOnce } from "./cache.ts";
import { runCommand } from "./command.ts";

export interface GoProgram {
  /** Of the program, and of the folder that keeps it. */
  readonly name: string;
  /** For people. */
  readonly title: string;
  /** Has go.mod, go.sum and main.go. */
  readonly folder: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Builds it once. Resolves to the program. */
export async function installGoProgram(
  { name, title, folder, env = {} }: GoProgram,
  log: (line: string) => void,
): Promise<string> {
  const hash = createHash("sha256");
  for (const file of ["go.mod", "main.go"]) hash.update(await Deno.readFile(`${folder}/${file}`));
  const dir = await installOnce(name, hash.digest("hex"), async (dir) => {
    log(`build ${title} (Go, up to 5 minutes)`);
    await runCommand("go", ["build", "-buildvcs=false", "-o", `${dir}/${name}`, "."], {
      purpose: `Building ${title}`,
      log: `${dir}.log`,
      missing: "Install Go (https://go.dev/dl, or Debian: apt-get install golang).",
      env: { GOFLAGS: "-mod=readonly", ...env },
      cwd: folder,
    });
  });
  return `${dir}/${name}`;
}
