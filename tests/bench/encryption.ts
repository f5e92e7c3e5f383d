/**
 * Encrypting and decrypting objects as an encrypted backup does, in memory: what a processor does of it, whatever else runs.
 *
 *     deno run -A tests/bench/encryption.ts [--mib 8] [--rounds 12]
 */
import process from "node:process";
import { Decrypter, Encrypter } from "age-encryption";
import { createMemoryStore } from "../../stores/mod.ts";
import { newIdentity, recipientOf } from "../../stores/encryption/age.ts";
import { createSeal, headBytesFor } from "../../stores/encryption/seal.ts";
import { createSealedStore } from "../../stores/encryption/sealed_store.ts";
import { numberArgument } from "./arguments.ts";
import { printFigure } from "./table.ts";

const MIB = numberArgument("mib", 8, 1);
const ROUNDS = numberArgument("rounds", 12, 2);
const SMALL = 200;

const identity = await newIdentity();
const recipients = [await recipientOf(identity)];
const seal = createSeal(recipients, [identity], await headBytesFor(recipients));
const memory = createMemoryStore();
const store = createSealedStore(memory, seal);
const bytes = new Uint8Array(MIB << 20).map((_, i) => (i * 2_654_435_761) >>> 13);
const small = bytes.subarray(0, 4096);

/** CPU seconds of one call, the best of all rounds. */
async function cpu(work: () => Promise<unknown>): Promise<number> {
  let best = Infinity;
  for (let round = 0; round < ROUNDS; round++) {
    const before = process.cpuUsage();
    await work();
    const { user, system } = process.cpuUsage(before);
    best = Math.min(best, (user + system) / 1e6);
  }
  return best;
}

async function many(work: (key: string) => Promise<unknown>): Promise<void> {
  for (let i = 0; i < SMALL; i++) await work(`small/${i}`);
}

const library = {
  async seal(): Promise<Uint8Array> {
    const encrypter = new Encrypter();
    encrypter.addRecipient(recipients[0]!);
    return await encrypter.encrypt(bytes);
  },
  async open(sealed: Uint8Array): Promise<Uint8Array> {
    const decrypter = new Decrypter();
    decrypter.addIdentity(identity);
    return await decrypter.decrypt(sealed);
  },
};
const file = await library.seal();
const whole: [string, number, number][] = [
  ["Tidemark", await cpu(() => store.put("k", bytes)), await cpu(() => store.get("k"))],
  ["age's library, whole files", await cpu(library.seal), await cpu(() => library.open(file))],
];
const rate = (seconds: number) => (bytes.length / 1e6 / seconds).toFixed(0);
const COMMAND = "deno task bench encryption";
printFigure({
  title: `MB a CPU second, objects of ${MIB} MiB`,
  command: COMMAND,
  head: ["", "encrypt", "decrypt"],
  rows: whole.map(([name, sealing, opening]) => [name, rate(sealing), rate(opening)]),
});

const writing = await cpu(() => many((key) => store.put(key, small)));
const reading = await cpu(() => many((key) => createSealedStore(memory, seal).get(key)));
const each = (seconds: number) => ((seconds / SMALL) * 1000).toFixed(2);
printFigure({
  title: "CPU ms an object of 4 KiB",
  command: COMMAND,
  head: ["", "encrypt", "decrypt"],
  rows: [["Tidemark", each(writing), each(reading)]],
});
