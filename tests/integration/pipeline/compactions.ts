/** What a source compacts while a test runs, from its own metadata, and runs that are stopped while it does. */
import assert from "node:assert/strict";
import { fromBinary } from "@bufbuild/protobuf";
import { SegmentState } from "../../../pipeline/proto/gen/common_pb.ts";
import { SegmentInfoSchema } from "../../../pipeline/proto/gen/data_coord_pb.ts";
import { connectEtcd, type EtcdClient } from "../../../stores/etcd.ts";
import { eventually } from "../../stack/eventually.ts";
import type { ExitReport, Running } from "./tidemark_process.ts";

/** A segment that took the place of others. */
export interface Compaction {
  readonly segment: bigint;
  readonly from: readonly bigint[];
  /** Of etcd, by which the segment came into being. */
  readonly revision: bigint;
}

export interface FlushedSegment {
  readonly id: bigint;
  /** `<collection>/<partition>/<segment>`, as below `insert_log/`. */
  readonly path: string;
}

/** Follows the segments of a source from its start on. */
export class CompactionWatch implements AsyncDisposable {
  readonly #etcd: EtcdClient;
  readonly #prefix: string;
  readonly #stop = new AbortController();
  readonly #found = new Map<bigint, Compaction>();
  #seen = 0n;
  #watching: Promise<void> = Promise.resolve();
  #broken: unknown;

  private constructor(etcd: EtcdClient, prefix: string) {
    this.#etcd = etcd;
    this.#prefix = prefix;
  }

  static async start(env: Record<string, string>): Promise<CompactionWatch> {
    const etcd = connectEtcd({ endpoints: [env.SOURCE_ETCD!] });
    const watch = new CompactionWatch(etcd, `${env.SOURCE_ROOT}/meta/datacoord-meta/s/`);
    watch.#seen = await watch.revision();
    watch.#watching = watch.#follow();
    return watch;
  }

  async #follow(): Promise<void> {
    try {
      for await (const { revision, events } of this.#etcd.watch([this.#prefix], this.#seen + 1n, this.#stop.signal)) {
        for (const { type, kv } of events) {
          if (type === "delete") continue;
          const { ID, compactionFrom } = fromBinary(SegmentInfoSchema, kv.value);
          if (compactionFrom.length === 0 || this.#found.has(ID)) continue;
          this.#found.set(ID, { segment: ID, from: compactionFrom, revision });
        }
        this.#seen = revision;
      }
    } catch (error) {
      if (!this.#stop.signal.aborted) this.#broken = error;
    }
  }

  /** Etcd's own, now. */
  async revision(): Promise<bigint> {
    return (await this.#etcd.status()).revision;
  }

  /** Segments that compactions made after `after` and up to now, oldest first. */
  async since(after: bigint): Promise<Compaction[]> {
    let newest = 0n;
    for await (const { kvs } of this.#etcd.range(this.#prefix, { keysOnly: true })) {
      for (const { modRevision } of kvs) if (modRevision > newest) newest = modRevision;
    }
    await eventually(
      "the watch of the segments has caught up",
      () => this.#broken !== undefined || this.#seen >= newest,
      { progress: () => `seen up to revision ${this.#seen} of ${newest}` },
    );
    if (this.#broken !== undefined) throw this.#broken;
    return [...this.#found.values()].filter(({ revision }) => revision > after);
  }

  /** What `flushed` answers for each revision of `from` to `to` at which it may have become less, and for both ends. */
  async flushedBetween(from: bigint, to: bigint): Promise<FlushedSegment[][]> {
    const made = (await this.since(from)).map(({ revision }) => revision).filter((revision) => revision < to);
    return await Promise.all([...new Set([from, ...made, to])].map((revision) => this.flushed(revision)));
  }

  /** Those whose files a snapshot at `revision` names. */
  async flushed(revision: bigint): Promise<FlushedSegment[]> {
    const found: FlushedSegment[] = [];
    for await (const { kvs } of this.#etcd.range(this.#prefix, { revision })) {
      for (const { key, value } of kvs) {
        const { ID, state } = fromBinary(SegmentInfoSchema, value);
        if (state === SegmentState.Flushed) found.push({ id: ID, path: key.slice(this.#prefix.length) });
      }
    }
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#watching;
    await this.#etcd.close();
  }
}

/** Resolves when a run that was started with `TIDEMARK_CRASH_AT=…:pause` stands still there. */
export async function paused(run: Running): Promise<void> {
  await run.until("it stands still", async () => {
    const stat = await Deno.readTextFile(`/proc/${run.pid}/stat`);
    // Behind the name, which may hold anything.
    return stat.slice(stat.lastIndexOf(")") + 2).startsWith("T");
  });
}

/** More than the one that a run may have read before it was paused. */
const ENOUGH = 2;

/**
 * Has the source compact, by `compact`, until of the segments that any snapshot since `revision` named enough are replaced by
 * others, and returns these. The source compacts by itself, too: what a run that began after `revision` has in hand may be
 * replaced before it stands still.
 */
export async function replaceSegments(
  watch: CompactionWatch,
  revision: bigint,
  compact: () => Promise<unknown>,
): Promise<FlushedSegment[]> {
  const snapshots = await watch.flushedBetween(revision, await watch.revision());
  const least = (from: ReadonlySet<bigint>) =>
    Math.min(...snapshots.map((segments) => segments.filter(({ id }) => from.has(id)).length));
  let from = new Set<bigint>();
  await eventually(`the source has compacted some segments of each of ${snapshots.length} snapshots`, async () => {
    await compact();
    from = new Set((await watch.since(revision)).flatMap((item) => item.from));
    return least(from) >= ENOUGH;
  }, { progress: () => `of one snapshot ${least(from)} are replaced, ${ENOUGH} are wanted` });
  const gone = new Map(snapshots.flat().filter(({ id }) => from.has(id)).map((segment) => [segment.id, segment]));
  return [...gone.values()];
}

/** Removes the files of replaced segments from the source's folder, as its garbage collection does some hours later. */
export async function collectFiles(folder: string, segments: readonly FlushedSegment[]): Promise<void> {
  for (const { path } of segments) {
    await Deno.remove(`${folder}/insert_log/${path}`, { recursive: true });
    for (const kind of ["delta_log", "stats_log"]) {
      await Deno.remove(`${folder}/${kind}/${path}`, { recursive: true }).catch((error) => {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      });
    }
  }
}

/** Lets a paused run go on to its end, and asserts that it looked the files up again that had gone meanwhile. */
export async function goesOn(run: Running): Promise<ExitReport> {
  Deno.kill(run.pid, "SIGCONT");
  const report = await run.ends();
  assert.equal(report.code, 0, report.stderr);
  assert.match(report.stderr, /reads the metadata again/);
  return report;
}
