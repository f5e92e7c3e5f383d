/** Puts a recording into real servers: all of it at once, or step by step in the recorded order. */
import type { EtcdChange, EtcdRevision, Recording } from "./recording.ts";
import { RecordedServers } from "./servers.ts";
import { type Step, timelineOf } from "./timeline.ts";

export interface PlayOptions {
  /** So many times as fast as it was recorded. Default: as fast as the servers take it. */
  readonly speed?: number;
  /** The longest wait between two steps, ms. Default 200. */
  readonly longestMs?: number;
  /** Called behind each step. */
  readonly onStep?: (step: Step, index: number) => void | Promise<void>;
}

export class Player implements AsyncDisposable {
  readonly recording: Recording;
  readonly servers: RecordedServers;
  readonly #steps: readonly Step[];
  #next = 0;

  private constructor(recording: Recording, servers: RecordedServers) {
    this.recording = recording;
    this.servers = servers;
    this.#steps = timelineOf(recording);
  }

  /** With the topics made and nothing in them. */
  static async open(recording: Recording, env: Readonly<Record<string, string>>): Promise<Player> {
    const topics = [...new Set(recording.records.map(({ topic }) => topic))];
    const player = new Player(recording, await RecordedServers.open(env, topics.length === 0));
    if (topics.length > 0) await player.servers.createTopics(topics);
    return player;
  }

  get over(): boolean {
    return this.#next >= this.#steps.length;
  }

  /** Everything up to `label` (default: the end) at once: only what is left of it in the end. */
  async load(label?: string): Promise<void> {
    const steps = [...this.#take(label)];
    const revisions = steps.flatMap((step) => step.kind === "revision" ? [step.revision] : []);
    const records = steps.flatMap((step) => step.kind === "record" ? [step.record] : []);
    const keys = steps.flatMap((step) => step.kind === "objects" ? step.keys : []);
    await Promise.all([
      this.servers.put(keys.map((key) => [key, this.recording.objects.get(key)!])),
      this.servers.produce(records),
      this.servers.write(left(revisions)),
    ]);
  }

  /** Step by step up to `label` (default: the end). */
  async play(options: PlayOptions = {}, label?: string): Promise<void> {
    const { speed = Infinity, longestMs = 200, onStep } = options;
    let before: number | undefined;
    for (const step of this.#take(label)) {
      const wait = before === undefined ? 0 : Math.min((step.ms - before) / speed, longestMs);
      if (wait > 1) await new Promise((resolve) => setTimeout(resolve, wait));
      before = step.ms;
      await this.#do(step);
      await onStep?.(step, this.#next);
    }
  }

  /** Step after step, and past them as they are given out. */
  *#take(label: string | undefined): Generator<Step> {
    while (this.#next < this.#steps.length) {
      const step = this.#steps[this.#next++]!;
      yield step;
      if (step.kind === "moment" && step.moment.label === label) return;
    }
  }

  async #do(step: Step): Promise<void> {
    switch (step.kind) {
      case "objects":
        return await this.servers.put(step.keys.map((key) => [key, this.recording.objects.get(key)!]));
      case "revision":
        return await this.servers.write(step.revision.changes);
      case "record":
        return await this.servers.produce([step.record]);
      case "moment":
        return;
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.servers[Symbol.asyncDispose]();
  }
}

/** The last word on each key. */
function left(revisions: readonly EtcdRevision[]): EtcdChange[] {
  const last = new Map<string, EtcdChange>();
  for (const { changes } of revisions) for (const change of changes) last.set(change.key, change);
  return [...last.values()];
}
