/** Tasks as a server shows them, without their processes. */
import type { Watched } from "../../control/server/watched.ts";
import { History } from "../../control/server/history.ts";
import { Ring } from "../../control/server/ring.ts";
import { stateOfStatus } from "../../control/server/runner.ts";
import type { RunStatus } from "../../pipeline/model/mod.ts";
import type { LogLine } from "../../control/server/worker.ts";
import type { Json } from "../../pipeline/json.ts";

const STATES = ["blocked", "waiting", "running", "base"] as const;

/** `tasks` of them, as they are each time this is asked for; the first has `collections` collections. */
export function manyTasks(tasks: number, collections: number): Watched[] {
  return Array.from({ length: tasks }, (_, at) => {
    const kind = STATES[at % STATES.length]!;
    const name = `${kind}-${Math.floor(at / STATES.length)}`;
    const status = statusOf(name, kind, at === 0 ? collections : 3);
    const history = new History();
    for (let minute = 59; minute >= 0; minute--) {
      const lagMs = 400 + 300 * Math.sin(minute / 4) + (minute === 20 ? 4000 : 0);
      const rates = { rowsPerSec: 900 + 200 * Math.cos(minute / 3), bytesPerSec: 1e6 };
      for (let part = 0; part < 6; part++) {
        history.add({ ...status, lagMs, rates }, Date.now() - minute * 60_000 + part * 10_000 - 60_000);
      }
    }
    const logs = new Ring<LogLine>(100);
    logs.add({ time: new Date().toISOString(), level: "info", message: `${name} follows the log` });
    const ddl = new Ring<Json>(100);
    ddl.add({ at: new Date().toISOString(), sentence: "Create collection shop.c0", result: "applied", detail: "" });
    const at0 = new Date(Date.now() - 86_400_000).toISOString();
    return {
      record: { name, version: 1, wanted: "running", createdAt: at0, updatedAt: at0 },
      runner: {
        ...stateOfStatus(status),
        pid: 1000 + at,
        status,
        restarts: at % 3,
        lastEnd: at % 3 === 0
          ? undefined
          : { at: at0, code: 11, reason: "No etcd endpoint answers at etcd:2379", hint: undefined },
        nextStartAt: undefined,
        logs,
        ddl,
        history,
      },
      checked: {
        masked: { pipeline: name, sinks: { replica: { type: "milvus", address: "dr:19530", token: "***" } } },
        redact: Object.assign((text: string) => text, { known: 0 }),
      },
    };
  });
}

/** What a run says of itself; of the one that is blocked the eighth collection is. */
export function statusOf(name: string, kind: typeof STATES[number], collections: number): RunStatus {
  // It never grows old, however long somebody looks at it.
  const now = new Date(Date.now() + 3_600_000).toISOString();
  const lagMs = kind === "waiting" ? 93_000 : 640;
  return {
    pipeline: name,
    phase: kind === "base" ? "base" : "tail",
    collections: Array.from({ length: collections }, (_, at) => ({
      db: "shop",
      name: `c${at}`,
      target: `shop_dr.c${at}`,
      phase: kind === "blocked" && at === 7 % collections ? "blocked" : kind === "base" ? "base" : "tail",
      segmentsDone: 3,
      segmentsTotal: 8,
      rowsDone: 41_000n,
      rowsTotal: 120_000n,
      inserted: BigInt(at * 17),
      deleted: BigInt(at),
      blockedReason: kind === "blocked" && at === 7 % collections
        ? "The target refused field title: max_length 8"
        : undefined,
      refusedRows: undefined,
      agreed: [],
      imports: undefined,
    })),
    channels: [0, 1].map((at) => ({
      pchannel: `by-dev-rootcoord-dml_${at}`,
      position: "18734",
      tick: BigInt(Date.now() - lagMs) << 18n,
      lagMs,
      recordsPerSec: 12,
      retention: at === 0 ? { ms: 604_800_000, why: "" } : { ms: undefined, why: "Kept for ever: retention.ms is -1" },
      behind: {
        end: "18790",
        records: kind === "waiting" ? 5600 : 0,
        bytes: kind === "waiting" ? 7_340_032 : 0,
        at: now,
      },
    })),
    sinks: [],
    bases: [],
    waits: kind === "waiting"
      ? [{ component: "sinks.replica", collection: "", reason: "dr:19530 does not answer", since: now, next: "" }]
      : [],
    lagMs,
    rates: { rowsPerSec: 1234, bytesPerSec: 5_600_000 },
    inFlightBytes: 1_048_576,
    inFlightLimitBytes: 134_217_728,
    startedAt: now,
    checkpointAt: now,
    at: now,
    lastError: undefined,
    warnings: [],
  };
}
