import assert from "node:assert/strict";
import { tidemark } from "../../control/mod.ts";
import { createFileStore } from "../../stores/mod.ts";
import { newIdentity } from "../../stores/encryption/age.ts";
import { withEncryption } from "../../stores/encryption/mod.ts";
import type { EncryptConfig } from "../../stores/encryption/spec.ts";
import { collection, facts, segment, sinkOn, sourceStore } from "../conformance/archive_sink.ts";
import { fakeTerminal } from "./fake_terminal.ts";

const signal = new AbortController().signal;

async function writeBackup(path: string, name: string, encrypt: EncryptConfig): Promise<void> {
  const store = await withEncryption(createFileStore(path), encrypt);
  const session = await sinkOn(store, { name }).open({ resume: undefined, previous: undefined, nowMs: 0 }, signal);
  await session.begin(facts(), signal);
  await session.copySegment(segment(11n), (await sourceStore([segment(11n)])).object, [], signal);
  await session.finishBase([{ collection: collection(), segmentIds: [11n] }], [], signal);
  await session.close();
}

Deno.test("backup commands open an encrypted backup of --storage with its key, and say what is missing without", async () => {
  const path = await Deno.makeTempDir();
  const keys = await Deno.makeTempDir();
  const file = async (name: string, content: string) => {
    await Deno.writeTextFile(`${keys}/${name}`, `${content}\n`);
    return `${keys}/${name}`;
  };
  const backup = async (...args: string[]) => {
    const terminal = fakeTerminal();
    const status = await tidemark(["backup", ...args, "--storage", path, "--json"], terminal);
    return { status, stdout: terminal.stdout, stderr: terminal.stderr };
  };
  try {
    const identity = await file("identity", await newIdentity());
    const foreign = await file("foreign", await newIdentity());
    const passphrase = await file("phrase", "a long one");
    await writeBackup(path, "mine", { identity_file: identity });
    await writeBackup(path, "phrased", { passphrase_file: passphrase });
    for (
      const [name, ...key] of [["mine", "--identity-file", identity], ["phrased", "--passphrase-file", passphrase]] as [
        string,
        ...string[],
      ][]
    ) {
      const shown = await backup("show", name, ...key);
      assert.equal(shown.status, 0, shown.stderr);
      assert.equal(JSON.parse(shown.stdout).name, name);
      const looked = async (...key: string[]) => {
        const { contentsRead, damaged } = JSON.parse((await backup("verify", name, ...key)).stdout);
        return [contentsRead, damaged];
      };
      assert.deepEqual(await looked(...key), [true, 0]);
      assert.deepEqual(await looked(), [false, 0]);
      const flag = key[0]!;
      const closed = await backup("show", name);
      assert.equal(closed.status, 12, closed.stderr);
      assert.match(
        closed.stderr,
        new RegExp(`Backup ${name} in .* is encrypted .*\\n {2}Hint: .*beside --storage: ${flag}`),
      );
    }
    const wrong = await backup("show", "mine", "--identity-file", foreign);
    assert.equal(wrong.status, 12, wrong.stderr);
    assert.match(wrong.stderr, /is encrypted for age1.*foreign holds the key of age1/);
    const none = await backup("show", "mine", "--identity-file", `${keys}/none`);
    assert.equal(none.status, 10, none.stderr);
    assert.match(none.stderr, /Cannot read the file .*none/);
  } finally {
    await Deno.remove(path, { recursive: true });
    await Deno.remove(keys, { recursive: true });
  }
});
