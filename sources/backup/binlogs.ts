/** A backup's files as the binlog files of a running Milvus. */
import { TidemarkError } from "../../pipeline/errors.ts";
import type { BinlogSource, FileFinding, LogFile, ObjectInfo, ObjectStore, Segment } from "../../pipeline/model/mod.ts";
import { binlogFolder, deltaPath, insertPath, manifestsFolder } from "../../stores/mod.ts";
import { createBinlogSource, parseLogPath, type SegmentReadOptions } from "../binlog/mod.ts";
import type { OpenedBackup } from "./read.ts";

/** Reads the files that {@link backupSnapshot} names. `close` leaves the store open: the backup's reader owns it. */
export function backupBinlogs(backup: OpenedBackup, reading?: SegmentReadOptions): BinlogSource {
  const { store, name, meta } = backup;
  const groups = new Map(meta.collections.flatMap(({ segments }) => segments.map(({ id, groupId }) => [id, groupId])));
  const byManifest = new Map(
    (backup.manifest?.segments ?? []).filter(({ manifestPath }) => manifestPath !== "")
      .map((segment) => [segment.id, segment]),
  );
  const keyOf = (path: string): string => {
    if (/^insert_log\/\d+\/-?\d+\/(?:\d+\/_|lobs\/)/.test(path)) return manifestsFolder(name) + path;
    const parsed = parseLogPath(path);
    if (parsed === undefined) throw new TidemarkError("unexpected", `${path} is no path of a log file`);
    const { collectionId, partitionId, segmentId, group, logId } = parsed;
    const place = { id: segmentId, collectionId, partitionId, groupId: groups.get(segmentId) ?? 0n };
    return binlogFolder(name) + (group === undefined ? deltaPath(place, logId) : insertPath(place, group, logId));
  };
  const source = createBinlogSource({
    store: renamed(store, keyOf),
    root: "",
    ...(reading === undefined ? {} : { reading }),
  });
  return {
    ...source,
    object: (file) => ({ store, key: keyOf(file.path) }),
    /** Nothing is dirty in a backup: what its metadata names is there or is not. */
    async verify(collectionId, segments, signal) {
      const listed = new Map<string, ObjectInfo>();
      const folders = [`${binlogFolder(name)}insert_log`, `${binlogFolder(name)}delta_log`];
      if (byManifest.size > 0) folders.push(`${manifestsFolder(name)}insert_log`);
      for (const folder of folders) {
        for await (const info of store.list(`${folder}/${collectionId}/`, signal)) listed.set(info.key, info);
      }
      const findings: FileFinding[] = [];
      const present = (segment: Segment, files: readonly LogFile[]): readonly LogFile[] =>
        files.filter((file) => {
          if (listed.has(keyOf(file.path))) return true;
          findings.push({
            kind: "missing",
            path: file.path,
            collectionId,
            segmentId: segment.id,
            detail: `Backup ${name} names the file and does not hold it`,
            bytes: file.size,
          });
          return false;
        });
      const filesOf = (of: "binlogs" | "deltalogs") =>
        segments.filter((segment) => segment.collectionId === collectionId)
          .flatMap((segment) => segment[of].flatMap(({ files }) => present(segment, files)));
      const kept = segments.flatMap((segment) =>
        segment.collectionId === collectionId
          ? present(segment, (byManifest.get(segment.id)?.files ?? []).map(keptFile))
          : []
      );
      const isDelta = ({ path }: LogFile) => parseLogPath(path)?.kind === "delta";
      const inserts = [...filesOf("binlogs"), ...kept.filter((file) => !isDelta(file))];
      return {
        findings,
        deltaFiles: [...filesOf("deltalogs"), ...kept.filter(isDelta)],
        insertFiles: inserts.length,
        insertBytes: inserts.reduce((sum, file) => sum + (listed.get(keyOf(file.path))?.size ?? 0n), 0n),
        listed: (file) => listed.get(keyOf(file.path)),
      };
    },
    async check() {
      return [{ what: `files of backup ${name}`, ok: "ok", detail: store.location }];
    },
    async close() {},
  };
}

function keptFile({ path, size }: { readonly path: string; readonly size: bigint }): LogFile {
  const last = path.slice(path.lastIndexOf("/") + 1);
  return { path, size, logId: /^\d+$/.test(last) ? BigInt(last) : 0n, entries: 0n, tsFrom: 0n, tsTo: 0n };
}

/** The same objects under other keys, for reading only. */
function renamed(store: ObjectStore, keyOf: (key: string) => string): ObjectStore {
  const refuse = (): never => {
    throw new TidemarkError("unexpected", "A backup is only read");
  };
  return {
    location: store.location,
    head: (key, signal) => store.head(keyOf(key), signal),
    get: (key, range, signal) => store.get(keyOf(key), range, signal),
    stream: (key, signal) => store.stream(keyOf(key), signal),
    put: refuse,
    copyFrom: refuse,
    list: refuse,
    folders: refuse,
    delete: refuse,
    async close() {},
  };
}
