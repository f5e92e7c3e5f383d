import assert from "node:assert/strict";
import { choosePorts, portsFrom } from "./ports.ts";

Deno.test("portsFrom gives every part a port of its own", () => {
  const { base, source, target, ...single } = portsFrom(23_000);
  const used = [
    ...Object.values(single),
    single.sourceEtcd + 1,
    single.targetEtcd + 1,
    ...[source, target].flatMap((first) => Array.from({ length: 10 }, (_, n) => first + n)),
  ];
  assert.equal(new Set(used).size, used.length);
  assert.ok(used.every((port) => port >= base && port < base + 40));
});

Deno.test("choosePorts leaves out blocks of other stacks", () => {
  const all = new Set(Array.from({ length: 250 }, (_, n) => 22_000 + n * 40));
  assert.throws(() => choosePorts(all), /No block of 40 free ports/);
  const { base } = choosePorts(new Set());
  all.delete(base);
  using busy = Deno.listen({ hostname: "127.0.0.1", port: base + 13 });
  assert.throws(() => choosePorts(all), /No block of 40 free ports/);
  assert.throws(() => choosePorts(new Set(), base), new RegExp(`Port ${base + 13} is taken`));
  assert.equal((busy.addr as Deno.NetAddr).port, base + 13);
});
