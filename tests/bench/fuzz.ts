/**
 * `deno task bench fuzz [--minutes 10] [--first N] [target...]`: every decoder of foreign bytes, ten minutes each. Ends with 1
 * if anything was found.
 */
import { fuzz } from "../fuzz/fuzz.ts";
import { TARGETS } from "../fuzz/targets.ts";
import { printFigure } from "./table.ts";

const args = [...Deno.args];
const option = (name: string, otherwise: number): number => {
  const place = args.indexOf(name);
  return place < 0 ? otherwise : parseFloat(args.splice(place, 2)[1]!);
};
const minutes = args.includes("--small") ? 0.1 : option("--minutes", 10);
const first = option("--first", 1_000_000);
const wanted = args.filter((arg) => !arg.startsWith("--"));
let found = 0;
const rows: string[][] = [];
for (const { name } of TARGETS.filter(({ name }) => wanted.length === 0 || wanted.includes(name))) {
  const signal = AbortSignal.timeout(minutes * 60_000);
  const { inputs, finds, peakMiB } = await fuzz(name, {
    first,
    count: Number.MAX_SAFE_INTEGER / 2,
    hangMs: 60_000,
    memoryMiB: 700,
    signal,
  });
  for (const find of finds) console.error(find);
  found += finds.length;
  rows.push([name, `${inputs}`, `${finds.length}`, `${peakMiB}`]);
}
printFigure({
  title: "Fuzzing",
  command: `deno task bench fuzz --minutes ${minutes}`,
  head: ["target", "inputs", "finds", "peak RSS MiB"],
  rows,
});
if (found > 0) Deno.exit(1);
