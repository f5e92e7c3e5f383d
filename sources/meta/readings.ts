/** What a reading of the metadata says beyond the model: of imports, and of what is not live. */
import type { ImportTask, NotLive } from "../../pipeline/model/mod.ts";

/** An import with the name of its state as Milvus has it. */
export interface ImportReading extends ImportTask {
  readonly stateName: string;
}

export interface NotLiveReading extends NotLive {
  /** Where the metadata still has one. */
  readonly name?: string;
}
