/** Imports (bulk insert): jobs and tasks of datacoord (2.4+), tasks of rootcoord (2.2, 2.3). */
import {
  type ImportJob,
  ImportJobSchema,
  type ImportTaskV2,
  ImportTaskV2Schema,
} from "../../pipeline/proto/gen/data_coord_pb.ts";
import { ImportJobState } from "../../pipeline/proto/gen/internal_pb.ts";
import { decodeValue, mustMatch } from "./decode.ts";
import { decodeOldImport, type OldImport } from "./old_import.ts";
import { idOf, isTombstone, partsOf } from "./keys.ts";
import type { ImportReading } from "./readings.ts";

const JOB = "datacoord-meta/import-job/";
const TASK = "datacoord-meta/import-task/";
const OLD_TASK = "importtask/";

export class ImportKeys {
  readonly #jobs = new Map<bigint, ImportJob>();
  readonly #tasks = new Map<bigint, ImportTaskV2>();
  readonly #oldTasks = new Map<bigint, OldImport>();

  /** Returns the id of the import that changed, undefined where the key is not of an import. */
  apply(key: string, value: Uint8Array | undefined): bigint | undefined {
    const gone = value === undefined || isTombstone(value);
    if (key.startsWith(JOB)) {
      const id = idOf(partsOf(key, JOB)[0], key);
      if (gone) return void this.#jobs.delete(id);
      const job = decodeValue(ImportJobSchema, value, key);
      mustMatch(job.jobID, id, "import job", key);
      this.#jobs.set(id, job);
      return id;
    }
    if (key.startsWith(TASK)) {
      const id = idOf(partsOf(key, TASK)[0], key);
      if (gone) return void this.#tasks.delete(id);
      const task = decodeValue(ImportTaskV2Schema, value, key);
      mustMatch(task.taskID, id, "import task", key);
      this.#tasks.set(id, task);
      return task.jobID;
    }
    if (key.startsWith(OLD_TASK)) {
      const id = idOf(partsOf(key, OLD_TASK)[0], key);
      if (gone) return void this.#oldTasks.delete(id);
      const task = decodeOldImport(value, key);
      mustMatch(task.id, id, "import task", key);
      this.#oldTasks.set(id, task);
      return id;
    }
    return undefined;
  }

  /** One import, undefined if there is none of that id. */
  get(id: bigint): ImportReading | undefined {
    const old = this.#oldTasks.get(id);
    if (old !== undefined) return old;
    const job = this.#jobs.get(id);
    return job === undefined ? undefined : this.#ofJob(job);
  }

  /** All imports, by id. */
  all(): ImportReading[] {
    return [...[...this.#jobs.values()].map((job) => this.#ofJob(job)), ...this.#oldTasks.values()]
      .sort((a, b) => a.id < b.id ? -1 : 1);
  }

  #ofJob(job: ImportJob): ImportReading {
    const tasks = [...this.#tasks.values()].filter((task) => task.jobID === job.jobID);
    // Where the import sorts (2.5+), the sorted segments replace those that were imported first.
    const segmentIds = tasks.flatMap((task) => [...task.segmentIDs, ...task.sortedSegmentIDs]);
    const rows = tasks.flatMap((task) => task.fileStats).reduce((sum, file) => sum + file.totalRows, 0n);
    return {
      id: job.jobID,
      collectionId: job.collectionID,
      state: stateOf(job.state),
      stateName: ImportJobState[job.state] ?? `state ${job.state}`,
      segmentIds: [...new Set(segmentIds)],
      rows,
    };
  }
}

function stateOf(state: ImportJobState): ImportReading["state"] {
  switch (state) {
    case ImportJobState.Completed:
      return "completed";
    case ImportJobState.Failed:
      return "failed";
    case ImportJobState.None:
    case ImportJobState.Pending:
    case ImportJobState.PreImporting:
    case ImportJobState.Importing:
    case ImportJobState.IndexBuilding:
    case ImportJobState.Sorting:
    case ImportJobState.Uncommitted:
    case ImportJobState.Committing:
      return "pending";
    default:
      return "other";
  }
}
