/**
 * Writes `pipeline/proto/gen` anew from the protobuf definitions in Milvus' released Go modules, and in that of Pulsar's client:
 * `deno task proto`.
 * Needs Go and npx. `--check` leaves the folder alone and fails when it differs from what would be written.
 */

const HERE = import.meta.dirname!;
const GENERATED = `${HERE}/../gen`;
/** Milvus' own client of Pulsar; its definitions lie beside its code. */
const PULSAR = "github.com/apache/pulsar-client-go@v0.17.0";
const PULSAR_API = "pulsar/internal/pulsar_proto/PulsarApi.proto";
const BUF = "@bufbuild/buf@1.75.0";

async function run(command: string, args: string[], cwd: string): Promise<Uint8Array> {
  const output = await new Deno.Command(command, { args, cwd, stdout: "piped", stderr: "inherit" }).output();
  if (!output.success) throw new Error(`${command} ${args.join(" ")} ended with ${output.code}`);
  return output.stdout;
}

/** Generates into a temporary folder: `buf.gen.yaml` names its output relative to the folder it runs in. */
async function generate(scratch: string): Promise<string> {
  const work = `${scratch}/generate`;
  await Deno.mkdir(work);
  await Deno.writeFile(`${work}/milvus.binpb`, await run("go", ["run", "."], HERE));
  await Deno.copyFile(`${HERE}/buf.gen.yaml`, `${work}/buf.gen.yaml`);
  const downloaded = new TextDecoder().decode(await run("go", ["mod", "download", "-json", PULSAR], HERE));
  await Deno.mkdir(`${work}/pulsar`);
  await Deno.copyFile(`${JSON.parse(downloaded).Dir}/${PULSAR_API}`, `${work}/pulsar/pulsar_api.proto`);
  for (const input of ["milvus.binpb", "pulsar"]) {
    await run("npx", ["-y", BUF, "generate", input, "--template", "buf.gen.yaml"], work);
  }
  return `${scratch}/gen`;
}

async function readTree(folder: string, prefix = ""): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for await (const entry of Deno.readDir(`${folder}/${prefix}`)) {
    const path = `${prefix}${entry.name}`;
    if (entry.isDirectory) { for (const [name, text] of await readTree(folder, `${path}/`)) files.set(name, text); }
    else files.set(path, await Deno.readTextFile(`${folder}/${path}`));
  }
  return files;
}

const scratch = await Deno.makeTempDir({ prefix: "tidemark-proto-" });
try {
  const made = await readTree(await generate(scratch));
  const committed = await readTree(GENERATED).catch(() => new Map<string, string>());
  const different = [...new Set([...made.keys(), ...committed.keys()])]
    .filter((path) => made.get(path) !== committed.get(path)).sort();
  if (Deno.args.includes("--check")) {
    console.log(different.length === 0 ? "Up to date" : `Different:\n${different.join("\n")}`);
    Deno.exitCode = different.length === 0 ? 0 : 1;
  } else {
    await Deno.remove(GENERATED, { recursive: true }).catch(() => {});
    for (const [path, text] of made) {
      await Deno.mkdir(`${GENERATED}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
      await Deno.writeTextFile(`${GENERATED}/${path}`, text);
    }
    console.log(`${made.size} files written, ${different.length} of them changed`);
  }
} finally {
  await Deno.remove(scratch, { recursive: true });
}
