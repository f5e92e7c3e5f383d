import assert from "node:assert/strict";
import { Barriers } from "../../../../pipeline/flow/rows/barriers.ts";

const nobody = () => false;

Deno.test("Barriers run the action once, after the last member arrived, and let all go on then", async () => {
  const barriers = new Barriers();
  let runs = 0;
  const order: string[] = [];
  const arrive = (vchannel: string) =>
    barriers.arrive("1:drop", 5n, vchannel, ["a", "b"], nobody, () => {
      runs++;
      order.push("action");
      return Promise.resolve();
    }).then(() => order.push(vchannel));
  const a = arrive("a");
  await Promise.resolve();
  assert.equal(runs, 0);
  await Promise.all([a, arrive("b")]);
  assert.equal(runs, 1);
  assert.deepEqual(order, ["action", "a", "b"]);
  assert.equal(barriers.waiting, 0);
});

Deno.test("Barriers do not wait for a member that started behind the change", async () => {
  const barriers = new Barriers();
  let runs = 0;
  await barriers.arrive("1:drop", 5n, "a", ["a", "b"], (member) => member === "b", () => {
    runs++;
    return Promise.resolve();
  });
  assert.equal(runs, 1);
});

Deno.test("Barriers give an error of the action to every member", async () => {
  const barriers = new Barriers();
  const action = () => Promise.reject(new Error("refused"));
  const a = barriers.arrive("1:drop", 5n, "a", ["a", "b"], nobody, action);
  const b = barriers.arrive("1:drop", 5n, "b", ["a", "b"], nobody, action);
  await assert.rejects(a, /refused/);
  await assert.rejects(b, /refused/);
});

Deno.test("Barriers of an abandoned collection reject those who wait", async () => {
  const barriers = new Barriers();
  const a = barriers.arrive("1:drop", 5n, "a", ["a", "b"], nobody, () => Promise.resolve());
  barriers.abandon("1:", new Error("held"));
  await assert.rejects(a, /held/);
});
