/** An action of each kind, with all that it can have. */
import type { Action, Place } from "./action.ts";

const PLACE: Place = {
  collection: 470796617075393534n,
  name: "books",
  db: "shop",
  dbId: 470796617076034579n,
  partition: 470796617075393535n,
  partitionName: "new",
};
const VCHANNELS = ["by-dev-rootcoord-dml_0_470796617075393534v0", "by-dev-rootcoord-dml_1_470796617075393534v1"];
const BROADCAST = { id: 470796617075392535n, vchannels: [...VCHANNELS, "by-dev-rootcoord-dml_0_vcchan"] };
const STAMP = { vchannel: VCHANNELS[0]!, tt: 470796617747267590n, confirmed: 37n, term: 2n };
const DML = { clock: 470796617747267587n, msgId: 470796617075393941n };
const ROWS = [[1n, -1n], [2n ** 62n, 2n ** 62n + 1n], [0n, 0n]] as const;

export const EVERY_ACTION: readonly Action[] = [
  { kind: "tick", vchannel: "", tt: STAMP.tt },
  { ...STAMP, kind: "tick", vchannel: "" },
  { ...STAMP, ...PLACE, ...DML, kind: "insert", segment: 470796617075593541n, rows: ROWS },
  { ...STAMP, ...PLACE, ...DML, kind: "insert", segment: 470796617075593541n, rows: ROWS, txn: 470796617075593546n },
  { ...STAMP, ...PLACE, ...DML, kind: "insert", segment: 470796617075593541n, rows: ROWS, columns: 2 },
  { ...STAMP, ...PLACE, ...DML, kind: "delete", keys: [1n, 2n ** 62n] },
  {
    ...STAMP,
    ...PLACE,
    ...DML,
    kind: "delete",
    keys: [-5n],
    partition: -1n,
    partitionName: "",
    txn: 470796617075593546n,
  },
  { ...STAMP, kind: "begin", txn: 470796617075593546n },
  { ...STAMP, kind: "commit", txn: 470796617075593546n },
  { ...STAMP, kind: "rollback", txn: 470796617075593546n },
  { ...STAMP, ...PLACE, kind: "create_segment", segment: 470796617075593541n },
  {
    ...STAMP,
    ...PLACE,
    kind: "manual_flush",
    segments: [470796617075593541n, 470796617075593544n],
    clock: STAMP.tt - 2n,
  },
  {
    ...STAMP,
    ...PLACE,
    kind: "create_collection",
    broadcast: BROADCAST,
    vchannels: VCHANNELS,
    pchannels: ["by-dev-rootcoord-dml_0", "by-dev-rootcoord-dml_1"],
  },
  { ...STAMP, ...PLACE, kind: "drop_collection", broadcast: BROADCAST },
  { ...STAMP, ...PLACE, kind: "create_partition", broadcast: BROADCAST },
  { ...STAMP, ...PLACE, kind: "drop_partition", broadcast: BROADCAST },
  { ...STAMP, ...PLACE, kind: "truncate_collection", broadcast: BROADCAST },
  { ...STAMP, ...PLACE, kind: "alter_collection", broadcast: BROADCAST, altered: { columns: 2 } },
  {
    ...STAMP,
    ...PLACE,
    kind: "alter_collection",
    broadcast: BROADCAST,
    altered: { name: "old_books", db: { id: 1n, name: "default" } },
  },
  {
    ...STAMP,
    ...PLACE,
    kind: "alter_collection",
    broadcast: BROADCAST,
    altered: { properties: { "mmap.enabled": "true" } },
  },
  { ...STAMP, ...PLACE, kind: "import", broadcast: { ...BROADCAST, vchannels: VCHANNELS }, job: 470796625135998278n },
  {
    ...STAMP,
    ...PLACE,
    kind: "commit_import",
    broadcast: { ...BROADCAST, vchannels: VCHANNELS },
    job: 470796625135998278n,
  },
];
