/** The program in this folder, built once. That takes two minutes of processor time: no suite that runs by itself needs it. */
import { createHash } from "node:crypto";
import { installOnce } from "../cache.ts";
import { runCommand } from "../command.ts";

const HERE = import.meta.dirname!;

/** Resolves to the program. */
export async function installWoodpecker(log: (line: string) => void = () => {}): Promise<string> {
  const hash = createHash("sha256");
  for (const file of ["go.mod", "main.go"]) hash.update(await Deno.readFile(`${HERE}/${file}`));
  const dir = await installOnce("woodpecker", hash.digest("hex"), async (dir) => {
    log("build Woodpecker (Go, up to 5 minutes)");
    await runCommand("go", ["build", "-buildvcs=false", "-o", dir, "."], {
      purpose: "Building Woodpecker",
      log: `${dir}.log`,
      missing: "Install Go (https://go.dev/dl, or Debian: apt-get install golang).",
      // Its fork of memberlist is in no checksum database; go.sum has the sum.
      env: { GONOSUMDB: "github.com/tinswzy", GOFLAGS: "-mod=readonly" },
      cwd: HERE,
    });
  });
  return `${dir}/woodpecker`;
}
