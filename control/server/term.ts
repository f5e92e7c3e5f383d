/** One term of a server that holds the lease on the tasks: from taking it to giving it back, or losing it. */
import { rest } from "../../pipeline/pause.ts";
import { type CheckedText, type ServerFile, stateName } from "../../config/mod.ts";
import { TidemarkError } from "../../pipeline/errors.ts";
import type { StateStore } from "../../pipeline/model/mod.ts";
import { openStateStore } from "../../stores/mod.ts";
import type { Access } from "./access.ts";
import { TaskBook } from "./book.ts";
import type { ServerCrashPoint } from "./crash.ts";
import type { EventHub } from "./events.ts";
import { Jobs } from "./jobs.ts";
import { hasOwnState } from "./own_state.ts";
import type { RunEnvironment } from "./run_environment.ts";
import type { Seal } from "./seal.ts";
import { Tasks } from "./tasks.ts";

export interface Term {
  readonly book: TaskBook;
  readonly tasks: Tasks;
  readonly jobs: Jobs;
}

export interface TermOptions {
  readonly file: ServerFile;
  readonly access: Access;
  readonly events: EventHub;
  readonly environment: RunEnvironment;
  readonly seal: Seal | undefined;
  readonly now: () => Date;
  readonly passed: (point: ServerCrashPoint) => void;
  readonly log: { info(message: string): void; warning(message: string): void; error(message: string): void };
  /** Begins with the tasks taken up, ends (undefined) before they are given back. */
  readonly onTerm: (term: Term | undefined) => void;
}

/** No pipeline can be called so. */
const STATE_NAME = "_server";
const TRY_AGAIN_MS = 1000;
/** How often it is looked at which tasks say nothing any more. */
const LOOK_MS = 5000;

/** Takes the lease whenever it is free, until `stop` fires. Throws what makes the state unusable. */
export async function holdTerms(options: TermOptions, stop: AbortSignal): Promise<void> {
  const { log } = options;
  let waiting = "";
  while (!stop.aborted) {
    await using store = closing(await openStateStore(options.file.state, STATE_NAME));
    let lease: Awaited<ReturnType<StateStore["lock"]>>;
    try {
      lease = await store.lock(stop);
    } catch (thrown) {
      if (stop.aborted) return;
      const error = thrown as TidemarkError;
      if (error.code !== "locked" && error.retriable !== true) throw error;
      if (waiting !== error.message) log.info(`${error.message}; this server takes over when it ends`);
      waiting = error.message;
      await rest(TRY_AGAIN_MS, stop);
      continue;
    }
    waiting = "";
    await serveTerm(options, store, lease, stop);
  }
}

async function serveTerm(
  options: TermOptions,
  store: StateStore,
  lease: Awaited<ReturnType<StateStore["lock"]>>,
  stop: AbortSignal,
): Promise<void> {
  const { file, events, now, log } = options;
  let term: Term | undefined;
  const watch = setInterval(() => term?.tasks.look(), LOOK_MS);
  try {
    const book = await TaskBook.open(store, options.seal, stop);
    const tasks = new Tasks({
      ...options,
      book,
      removeState: (checked) => removeRunState(checked, file),
      onTrouble: (message) => log.error(message),
    });
    const jobs = new Jobs({ tasks, events, now, atOnce: file.tasks.jobs });
    term = { book, tasks, jobs };
    options.onTerm(term);
    tasks.resumeAll();
    log.info(`This server runs the tasks of ${store.location}`);
    await either(stop, lease.lost);
  } finally {
    clearInterval(watch);
    options.onTerm(undefined);
    if (lease.lost.aborted) {
      log.error("The lease on the tasks was lost: their processes are ended at once");
      term?.tasks.kill();
      term?.jobs.kill();
    }
    // After a kill this waits for the processes to be gone.
    await Promise.all([term?.tasks.close(), term?.jobs.close()]);
    await lease[Symbol.asyncDispose]();
  }
}

/** Takes the state's own lease first: while a run holds it nothing is removed. */
async function removeRunState(checked: CheckedText, file: ServerFile): Promise<void> {
  const config = checked.config!;
  const signal = AbortSignal.timeout(30_000);
  await using store = closing(
    await openStateStore(hasOwnState(checked) ? config.state : file.state, stateName(config)),
  );
  const lease = await store.lock(signal);
  try {
    await store.remove(signal);
  } finally {
    await lease[Symbol.asyncDispose]();
  }
}

function closing(store: StateStore): StateStore & AsyncDisposable {
  return Object.assign(store, { [Symbol.asyncDispose]: () => store.close() });
}

async function either(...signals: readonly AbortSignal[]): Promise<void> {
  const any = AbortSignal.any([...signals]);
  if (!any.aborted) await new Promise((resolve) => any.addEventListener("abort", resolve, { once: true }));
}
