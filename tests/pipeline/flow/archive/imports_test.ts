import assert from "node:assert/strict";
import { archiveExtra } from "../../../../pipeline/flow/archive/extra.ts";
import { forgottenDemand, heldImports, importDemand } from "../../../../pipeline/flow/archive/imports.ts";
import type { FlowDependencies } from "../../../../pipeline/flow/mod.ts";
import { newSinkState } from "../../../../pipeline/flow/state/mod.ts";
import { ImportingSource } from "../../../fakes/importing_source.ts";

/** What an archive demands whose base was made of the source as it is, with its place in the log there. */
async function archived(all: ImportingSource) {
  const { source, collection, pipeline } = all;
  const deps = { ...pipeline.override, log: source.log, follow: source.follow } as unknown as FlowDependencies;
  const never = new AbortController().signal;
  const state = newSinkState();
  const extra = { ...archiveExtra(undefined), ...heldImports(await deps.meta.snapshot(never), [collection]) };
  const { latest } = await source.log.bounds("p_0", never);
  state.positions.set("p_0", { offset: latest, tick: source.now });
  return async () =>
    await forgottenDemand(deps, await deps.meta.snapshot(never), [collection], { state, extra }, never);
}

Deno.test("forgottenDemand asks for a base after an import that its base does not hold and no job tells of", async () => {
  const all = new ImportingSource();
  all.import([1n, 1n]);
  const demand = await archived(all);
  assert.equal(await demand(), undefined, "the base holds what was there");
  all.source.insert("a", [2n, 2n]);
  const own = all.flushed([all.last, 2n, 2n]);
  assert.equal(await demand(), undefined);
  const imported = all.import([3n, 3n]);
  assert.match((await demand())!, /an import into default\.a was forgotten by the source/);
  all.remember(imported);
  assert.equal(await demand(), undefined, "a job that is known says it itself");
  all.tasks = [];
  all.source.tick();
  all.compact(own, imported);
  all.collect(own, imported);
  assert.match((await demand())!, /an import into default\.a was forgotten by the source/);
});

Deno.test("forgottenDemand asks for no base where the log has all rows of what was compacted and collected", async () => {
  const all = new ImportingSource();
  const demand = await archived(all);
  all.source.insert("a", [2n, 2n]);
  const own = all.flushed([all.last, 2n, 2n]);
  all.source.tick();
  all.compact(own);
  all.collect(own);
  assert.equal(await demand(), undefined);
});

Deno.test("importDemand names the collection of an import that the base does not hold, if it is selected", async () => {
  const all = new ImportingSource();
  const id = all.import([1n, 1n]);
  all.remember(id);
  const { catalog } = await all.source.meta.snapshot(new AbortController().signal);
  const held = { imports: [] as bigint[], importSegments: [] };
  assert.match(importDemand(all.tasks, catalog, held, () => true)!, /into default\.a was completed/);
  assert.equal(importDemand(all.tasks, catalog, held, () => false), undefined);
  assert.equal(importDemand(all.tasks, catalog, { ...held, imports: [id + 1000n] }, () => true), undefined);
});
