import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { foreseeLoad, type ImportGate, importObstacle, notWorthIt } from "../../../../pipeline/flow/imports/gate.ts";
import { type CollectionState, newCollectionState } from "../../../../pipeline/flow/state/run_state.ts";
import type { BulkImport, Collection, Segment } from "../../../../pipeline/model/mod.ts";
import { CollectionSchemaSchema } from "../../../../pipeline/proto/gen/schema_pb.ts";

const { signal } = new AbortController();
const MIB = 1n << 20n;
const target = { db: "default", name: "a" };
const schema = create(CollectionSchemaSchema, { fields: [{ fieldID: 100n, name: "id" }] });
const collection = { id: 1n, schema } as Collection;

/** `mib` of files in all, those of field `lacking` left out. */
function segment(mib: bigint, lacking?: bigint): Segment {
  const binlogs = [0n, 1n, 100n].filter((fieldId) => fieldId !== lacking).map((fieldId) => ({
    fieldId,
    childFields: [],
    files: [{ path: "", logId: 1n, entries: 0n, tsFrom: 0n, tsTo: 0n, size: fieldId === 1n ? mib * MIB : 0n }],
  }));
  return { id: mib, storageVersion: 0n, manifestPath: "", binlogs } as unknown as Segment;
}

interface Case {
  readonly mode?: BulkImport["mode"] | "none";
  readonly onExisting?: "fail" | "merge" | "replace";
  readonly own?: Partial<CollectionState>;
  readonly made?: boolean;
  /** What the target itself has against it. */
  readonly obstacle?: string;
}

function gateOf({ mode = "import", onExisting = "fail", own, made = true, obstacle }: Case): ImportGate {
  const bulk = {
    mode,
    worthBytes: 128n * MIB,
    workers: () => Promise.resolve(1),
    obstacle: (_wanted: unknown, made: boolean) => Promise.resolve(made ? obstacle : undefined),
  } as unknown as BulkImport;
  const state = own && { ...newCollectionState(1n, target, target, [], "base"), ...own };
  const sink = { bulk: mode === "none" ? undefined : bulk };
  return { setup: { onExisting, sink }, collection, target, own: state, agreed: [], resumed: own !== undefined, made };
}

const BEGUN = { importUnits: [{}] } as unknown as Partial<CollectionState>;

Deno.test("importObstacle says what is against an import, of the configuration, the state and the target", async () => {
  const cases: [Case, RegExp | undefined][] = [
    [{}, undefined],
    [{ mode: "auto" }, undefined],
    [{ mode: "none" }, /no storage of the target/],
    [{ mode: "rows" }, /asks for rows/],
    [{ onExisting: "merge" }, /^on_existing: merge/],
    [{ onExisting: "replace" }, undefined],
    [{ own: { byRows: "its import failed" } }, /^its import failed$/],
    [{ own: {} }, undefined],
    [{ own: { segmentsBegun: [1n] } }, /began it by rows/],
    [{ own: { ...BEGUN, segmentsBegun: [1n] } }, undefined],
    [{ obstacle: "the target is 2.2" }, /the target is 2.2/],
    [{ obstacle: "the field v has the number 102", made: false }, undefined],
  ];
  for (const [one, reason] of cases) {
    const said = await importObstacle(gateOf(one), signal);
    if (reason === undefined) assert.equal(said, undefined);
    else assert.match(said!, reason);
  }
});

Deno.test("notWorthIt leaves small collections to rows under auto alone, and imports what does not say how large it is", () => {
  const bulk = (mode: BulkImport["mode"]) => gateOf({ mode }).setup.sink.bulk!;
  assert.match(
    notWorthIt(bulk("auto"), [segment(100n), segment(27n)], 1)!,
    /^it has 127 MiB in files, .* from 128 MiB on/,
  );
  assert.equal(notWorthIt(bulk("auto"), [segment(100n), segment(28n)], 1), undefined);
  assert.equal(notWorthIt(bulk("auto"), [segment(0n)], 1), undefined);
  assert.equal(notWorthIt(bulk("import"), [segment(1n)], 1), undefined);
});

Deno.test("notWorthIt weighs how many imports there are, and how many the target works on side by side", () => {
  const bulk = gateOf({ mode: "auto" }).setup.sink.bulk!;
  const partitions = (mib: bigint, rows: bigint) =>
    Array.from({ length: 59 }, (_, i) => ({ ...segment(mib), partitionId: BigInt(i), rows }));
  assert.match(
    notWorthIt(bulk, partitions(4n, 20n), 1)!,
    /^it has 236 MiB in files, .* from 7.* GiB on for 59 partitions, each an import of its own, one after the other/,
  );
  assert.match(notWorthIt(bulk, partitions(4n, 20n), 8)!, /8 at once/);
  assert.equal(notWorthIt(bulk, partitions(4n, 20n), 59), undefined, "as one import");
  assert.equal(notWorthIt(bulk, partitions(128n, 20n), 1), undefined);
  // A backup that does not say how large its files are says how many rows they have.
  assert.match(notWorthIt(bulk, partitions(0n, 20n), 1)!, /^it has about /);
  assert.equal(notWorthIt(bulk, partitions(0n, 1_000_000n), 1), undefined);
});

Deno.test("foreseeLoad tells rows from import as the run does, with the reason, and which segments go by rows anyway", async () => {
  const [small, large, faulty] = [segment(5n), segment(200n), segment(0n, 100n)];
  const cases: [Case, Segment[], "rows" | "import", RegExp, boolean?][] = [
    [{ mode: "auto" }, [small], "rows", /5 MiB in files/],
    [{ mode: "auto" }, [small, large], "import", /^restore_by: auto, it has 205 MiB in files$/],
    [{ mode: "import" }, [small], "import", /^restore_by: import, it has 5 MiB in files$/],
    [{ mode: "auto", own: BEGUN }, [small], "import", /^an earlier run began it so$/],
    [{ mode: "auto", onExisting: "merge" }, [large], "rows", /^on_existing: merge/],
    [{ mode: "import" }, [faulty], "rows", /^it has no files of field 100$/],
    [{ mode: "rows" }, [large], "rows", /asks for rows/, false],
    [{ mode: "none" }, [large], "rows", /no storage/, false],
  ];
  for (const [one, segments, by, reason, asked = true] of cases) {
    const choice = await foreseeLoad(gateOf(one), segments, signal);
    assert.deepEqual([choice.by, choice.asked], [by, asked], choice.reason);
    assert.match(choice.reason, reason);
  }
  const mixed = await foreseeLoad(gateOf({ mode: "import" }), [large, faulty, faulty], signal);
  assert.equal(mixed.by, "import");
  assert.deepEqual(mixed.byRows, [{ reason: "it has no files of field 100", segments: 2 }]);
});
