/** The conformance suite of the backup sink where everything is encrypted. */
import { createFileStore, createMemoryStore } from "../../../stores/mod.ts";
import { withEncryption } from "../../../stores/encryption/mod.ts";
import { newIdentity } from "../../../stores/encryption/age.ts";
import { testArchiveSink } from "../../conformance/archive_sink.ts";

async function identityFile(folder: string): Promise<string> {
  const file = `${folder}/key.txt`;
  await Deno.writeTextFile(file, `# a comment of age-keygen\n${await newIdentity()}\n`);
  return file;
}

testArchiveSink("backup sink, encrypted, in memory", {
  async store() {
    const folder = await Deno.makeTempDir();
    const encrypt = { identity_file: await identityFile(folder) };
    const memory = createMemoryStore();
    return {
      open: () => withEncryption(memory, encrypt),
      [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
    };
  },
});

testArchiveSink("backup sink, encrypted, in a folder", {
  async store() {
    const folder = await Deno.makeTempDir();
    const encrypt = { identity_file: await identityFile(folder) };
    return {
      open: () => withEncryption(createFileStore(`${folder}/backups`), encrypt),
      [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
    };
  },
});
