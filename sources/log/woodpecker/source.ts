/** The log source on Woodpecker. Nothing is ever written, neither to etcd nor to the bucket. */
import { pause } from "../../../pipeline/pause.ts";
import { TidemarkError, toTidemarkError } from "../../../pipeline/errors.ts";
import type {
  CheckLine,
  LogBounds,
  LogFetch,
  LogMeasure,
  LogSource,
  ObjectStore,
  Position,
  TailOptions,
} from "../../../pipeline/model/mod.ts";
import { woodpeckerPosition, woodpeckerPositions } from "../../../pipeline/positions/mod.ts";
import { FolderSegment } from "./folder_segment.ts";
import type { SegmentMeta } from "./keys.ts";
import type { LogView, WoodpeckerLogs } from "./logs.ts";
import { NodeSegment } from "./node_segment.ts";
import type { WoodpeckerNodes } from "./nodes.ts";
import { ObjectSegment } from "./object_segment.ts";
import type { SegmentReader } from "./segment.ts";
import { SegmentSizes } from "./sizes.ts";
import { kept, WoodpeckerTail } from "./tail.ts";
import { plural } from "../../../pipeline/units/mod.ts";

export interface WoodpeckerLogOptions {
  readonly store: ObjectStore;
  /** Key below which the log lies, without slashes at the ends. */
  readonly root: string;
  /** The store is a folder, so that segments may be files. */
  readonly isFolder: boolean;
  readonly logs: WoodpeckerLogs;
  /** Woodpecker's own servers; left out where there can be none, as with a folder. */
  readonly nodes?: WoodpeckerNodes | undefined;
  readonly pollMs: number;
  readonly idlePollMs: number;
  /** A topic's reader does not find what should be there, and why; undefined: it does again. */
  readonly onState?: (topic: string, reason: string | undefined) => void;
  /** Told of the values of each response, in bytes. */
  readonly onFetched?: (topic: string, bytes: number) => void;
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Monotonic ms. */
  readonly now?: () => number;
}

/** What an embedded writer gives as its node: there is no such server. */
const EMBEDDED = "127.0.0.1:59456";
/** Before the first one. */
const NO_SEGMENT = -1n;
const TOPICS_NAMED = 64;
const PROBE = "tidemark-is-there-nothing";

/** Connects to nothing. */
export function createWoodpeckerLog(options: WoodpeckerLogOptions): Omit<LogSource, "close"> {
  return new WoodpeckerLog(options);
}

class WoodpeckerLog implements Omit<LogSource, "close"> {
  readonly queue = "woodpecker";
  readonly #options: WoodpeckerLogOptions;
  readonly #sizes: SegmentSizes;

  constructor(options: WoodpeckerLogOptions) {
    this.#options = options;
    this.#sizes = new SegmentSizes(options.store, options.root);
  }

  topics(signal: AbortSignal): Promise<string[]> {
    return this.#options.logs.names(signal);
  }

  async bounds(topic: string, signal: AbortSignal): Promise<LogBounds> {
    const { logs } = this.#options;
    for (;;) {
      const view = await logs.log(topic, signal);
      const { topicId } = view;
      const numbers = kept(view);
      const [first, last] = [numbers[0], numbers.at(-1)];
      const { version } = logs;
      if (first === undefined || last === undefined) {
        if (await logs.isCurrent(topic, NO_SEGMENT, signal)) return { earliest: 0n, latest: 0n, topicId };
        await (this.#options.sleep ?? pause)(this.#options.pollMs, signal);
        continue;
      }
      const meta = () => logs.known(topic)?.segments.get(last) ?? view.segments.get(last)!;
      const end = await this.#open(view, last, meta).end(signal);
      // What was begun or finished meanwhile is looked at again.
      if (!await logs.isCurrent(topic, last, signal)) {
        await (this.#options.sleep ?? pause)(this.#options.pollMs, signal);
        continue;
      }
      if (logs.version !== version && kept(await logs.log(topic, signal)).at(-1) !== last) continue;
      return { earliest: woodpeckerPosition(first, 0n), latest: woodpeckerPosition(last, end), topicId };
    }
  }

  async measure(topic: string, from: Position, signal: AbortSignal): Promise<LogMeasure | undefined> {
    const view = await this.#options.logs.log(topic, signal);
    const { latest } = await this.bounds(topic, signal);
    return await this.#sizes.measure(view, from, latest, signal);
  }

  async *tail(
    topic: string,
    offset: Position,
    topicId: string | undefined,
    signal: AbortSignal,
    { withoutInserts = false }: TailOptions = {},
  ): AsyncIterable<LogFetch> {
    signal.throwIfAborted();
    const tail = new WoodpeckerTail(topic, offset, topicId, {
      ...this.#options,
      withoutInserts,
      sleep: this.#options.sleep ?? pause,
      now: this.#options.now ?? (() => performance.now()),
      bounds: () => this.bounds(topic, signal),
      open: (view, segment, meta) => this.#open(view, segment, meta),
    }, signal);
    try {
      yield* tail.pages();
    } catch (thrown) {
      // The clients below say it in words of their own.
      signal.throwIfAborted();
      throw thrown;
    }
  }

  async check(signal: AbortSignal): Promise<CheckLine[]> {
    const { logs, store } = this.#options;
    const lines: CheckLine[] = [];
    const attempt = async (what: string, test: () => Promise<Omit<CheckLine, "what">>): Promise<boolean> => {
      try {
        lines.push({ what, ...await test() });
        return true;
      } catch (thrown) {
        signal.throwIfAborted();
        const { message, hint, code } = toTidemarkError(thrown);
        lines.push({ what, ok: "fail", detail: hint === undefined ? message : `${message}. ${hint}`, code });
        return false;
      }
    };
    let names: string[] = [];
    const found = await attempt("woodpecker", async () => {
      names = await logs.names(signal);
      return {
        ok: names.length === 0 ? "warn" : "ok",
        detail: `${names.length} ${plural(names.length, "log")} below ${await logs.prefix(signal)}/ in etcd`,
      };
    });
    if (!found) return lines;
    const what = `woodpecker ${store.location}`;
    if (!await attempt(what, () => this.#checkRights(signal))) return lines;
    for (const name of names.slice(0, TOPICS_NAMED)) {
      await attempt(`woodpecker ${name}`, async () => {
        const { earliest, latest } = await this.bounds(name, signal);
        await this.#checkReadable(name, signal);
        const { format } = woodpeckerPositions;
        if (earliest === latest) {
          return {
            ok: "warn",
            detail:
              "no entries: right before Milvus first opened the channel; otherwise sources.log.root_path is wrong",
          };
        }
        return { ok: "ok", detail: `${format(earliest)} to ${format(latest)}` };
      });
    }
    return lines;
  }

  /** A key that is not there must be told from one that may not be read. */
  async #checkRights(signal: AbortSignal): Promise<Omit<CheckLine, "what">> {
    const { store, root } = this.#options;
    try {
      await store.head(`${root}/${PROBE}`, signal);
    } catch (thrown) {
      signal.throwIfAborted();
      const error = toTidemarkError(thrown);
      if (error.code !== "authentication") throw error;
      throw new TidemarkError(error.code, `${error.message}, for a key that does not exist`, {
        hint:
          "Give the key s3:ListBucket on the bucket besides s3:GetObject: without it a block that is not written yet " +
          "looks as one that is forbidden, and the end of the log cannot be seen.",
        cause: thrown,
      });
    }
    return { ok: "ok", detail: `reached, what is not there can be told below ${root}/` };
  }

  /** The oldest entry that there is. */
  async #checkReadable(topic: string, signal: AbortSignal): Promise<void> {
    const view = await this.#options.logs.log(topic, signal);
    for (const segment of kept(view)) {
      const meta = view.segments.get(segment)!;
      if (meta.state !== "active" && meta.lastEntry < 0n) continue;
      const step = await this.#open(view, segment, () => meta).read(0n, signal);
      if (step.kind !== "missing") return;
      throw new TidemarkError("not_found", step.what, {
        hint: "Set sources.log.storage and root_path to where the source keeps its log: minio.rootPath of its " +
          "milvus.yaml, then /wp.",
      });
    }
  }

  #open(view: LogView, segment: bigint, meta: () => SegmentMeta): SegmentReader {
    const { store, root, isFolder, nodes } = this.#options;
    const place = { store, folder: `${root}/${view.id}/${segment}`, meta };
    const addresses = meta().nodes;
    if (addresses.some((address) => address !== EMBEDDED)) {
      if (nodes !== undefined) return new NodeSegment({ ...place, nodes, root, logId: view.id, segment });
      throw new TidemarkError(
        "config",
        `Segment ${segment} of ${view.name} lies on Woodpecker's own servers (${
          addresses.join(", ")
        }), not in a folder`,
        { hint: "Set sources.log.storage to the bucket of the source: minio.bucketName of its milvus.yaml." },
      );
    }
    return isFolder ? new FolderSegment(place) : new ObjectSegment(place);
  }
}
