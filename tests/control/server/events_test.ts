import assert from "node:assert/strict";
import { EventHub } from "../../../control/server/events.ts";
import { eventStream } from "../../../control/server/event_stream.ts";

const at = (second: number) => () => new Date(Date.UTC(2026, 10, 29, 12, 0, second));

Deno.test("EventHub says after a restart nothing under an id that it had given before, so that nobody who comes back misses any", () => {
  const before = new EventHub(at(0));
  for (let event = 0; event < 5; event++) before.emit("task.created", "a", "");
  const seen = before.last;
  assert.ok(Number.isSafeInteger(seen));
  const after = new EventHub(at(1));
  // More is said than the one before had said, until the client is back.
  for (let event = 0; event < 9; event++) after.emit("task.state", "a", "");
  assert.equal(after.after(seen).length, 9);
  assert.equal(after.after(after.last - 2).length, 2);
});

Deno.test("eventStream says first what came after Last-Event-ID, of the task that was asked for, and ends with the server", async () => {
  const hub = new EventHub(at(0));
  const closing = new AbortController();
  hub.emit("task.created", "a", "one");
  const { last } = hub;
  hub.emit("task.created", "b", "two");
  hub.emit("task.created", "a", "three");
  const response = eventStream(hub, { task: "a", after: String(last), closing: closing.signal });
  hub.emit("task.deleted", "a", "four");
  closing.abort();
  const text = await response.text();
  const messages = [...text.matchAll(/^data: (.*)$/gm)].map((match) => JSON.parse(match[1]!).message);
  assert.deepEqual(messages, ["three", "four"]);
  assert.match(text, /^retry: \d+$/m);
});

Deno.test("eventStream says everything to whoever comes with an id that this server cannot have given", async () => {
  const hub = new EventHub(at(0));
  const closing = new AbortController();
  hub.emit("task.created", "a", "one");
  closing.abort();
  const of = async (after: string | undefined) =>
    (await eventStream(hub, { task: undefined, after, closing: closing.signal }).text()).match(/^data: /gm)?.length;
  assert.equal(await of("9000000000000000"), 1);
  assert.equal(await of("0"), 1);
  assert.equal(await of("nonsense"), undefined);
  assert.equal(await of(undefined), undefined);
});
