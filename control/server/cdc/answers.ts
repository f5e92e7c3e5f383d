/** What milvus-cdc says of a task. */
import type { TaskState } from "../runner.ts";
import type { CdcTask } from "./task.ts";

export type CdcState = "Running" | "Paused";

/** States in which nothing is done until somebody resumes it. */
const RESTING: readonly TaskState[] = ["paused", "stopping", "failed", "done"];

export interface ShownTask {
  readonly cdc: CdcTask;
  readonly state: TaskState;
  /** Without secrets. */
  readonly why: string;
}

/** Paused is what a `resume` sets going again: one that no restart mends, too. */
export function stateOf({ state }: Pick<ShownTask, "state">): CdcState {
  return RESTING.includes(state) ? "Paused" : "Running";
}

/** `Task` of milvus-cdc; `reason` also says why one that runs stands still. */
export function taskAnswer(task: ShownTask): Record<string, unknown> {
  const { cdc, state, why } = task;
  const reason = state === "paused" || state === "stopping" ? cdc.reason || why : why;
  return {
    task_id: cdc.taskId,
    milvus_connect_param: cdc.milvus,
    kafka_connect_param: { address: "", topic: "", enable_sasl: false, sasl: {} },
    collection_infos: cdc.collectionInfos,
    db_collections: cdc.dbCollections,
    state: stateOf(task),
    ...(reason === "" ? {} : { reason }),
  };
}
