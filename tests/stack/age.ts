/** The command `age` of age's author, which other people have: it must read what Tidemark encrypts, and the reverse. */
import { installOnce } from "./cache.ts";
import { runCommand } from "./command.ts";
import { VERSIONS } from "./versions.ts";

export interface Age {
  /** Throws with the program's words where it fails. */
  run(program: "age" | "age-keygen", args: readonly string[], input?: Uint8Array): Promise<Uint8Array>;
}

export async function installAge(log: (line: string) => void = () => {}): Promise<Age> {
  const version = VERSIONS.age;
  const dir = await installOnce(`age-${version}`, version, async (dir) => {
    log(`build age ${version} (Go, up to a minute)`);
    await runCommand("go", ["install", `filippo.io/age/cmd/...@${version}`], {
      purpose: `Building age ${version}`,
      log: `${dir}.log`,
      missing: "Install Go (https://go.dev/dl, or Debian: apt-get install golang).",
      env: { GOBIN: dir, GOFLAGS: "-buildvcs=false" },
    });
  });
  return {
    async run(program, args, input = new Uint8Array()) {
      const child = new Deno.Command(`${dir}/${program}`, {
        args: [...args],
        stdin: "piped",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
      const writer = child.stdin.getWriter();
      const wrote = writer.write(input).then(() => writer.close()).catch(() => {});
      const { success, stdout, stderr } = await child.output();
      await wrote;
      if (!success) throw new Error(`${program} ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
      return stdout;
    },
  };
}
