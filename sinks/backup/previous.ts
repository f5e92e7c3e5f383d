/** What a base states of deletes, for the next one. */
import { TidemarkError } from "../../pipeline/errors.ts";
import type { ObjectStore, PreviousBase, PreviousDeltaLog } from "../../pipeline/model/mod.ts";
import { algorithmOf, backupFolder, type BackupManifest, checksumOf } from "../../stores/mod.ts";

/** `binlogs/delta_log/<collection>/<partition>/[<group>/]<segment>/<log>` of a backup. */
const DELTA = /^binlogs\/delta_log\/(\d+)\/(-?\d+)\/(?:\d+\/)?(\d+)\/(\d+)$/;

export function previousBase(store: ObjectStore, manifest: BackupManifest): PreviousBase {
  const topics = new Map(manifest.knownDeletes.map(({ vchannel, topicId }) => [vchannel, topicId]));
  let logs: Map<string, PreviousDeltaLog[]> | undefined;
  return {
    name: manifest.name,
    known: manifest.cuts.flatMap((cut) => {
      const topicId = topics.get(cut.vchannel);
      return topicId === undefined ? [] : [{ ...cut, topicId }];
    }),
    deltaLogs(collectionId) {
      logs ??= deltaLogs(store, manifest);
      return logs.get(`${collectionId}`) ?? [];
    },
  };
}

function deltaLogs(
  store: ObjectStore,
  { name, objects, ownDeltas }: BackupManifest,
): Map<string, PreviousDeltaLog[]> {
  const written = new Set(ownDeltas);
  const logs = new Map<string, PreviousDeltaLog[]>();
  for (const { path, sum } of objects) {
    const [, collection, partition, segment, log] = DELTA.exec(path) ?? [];
    if (collection === undefined) continue;
    let own = logs.get(collection);
    if (own === undefined) logs.set(collection, own = []);
    own.push({
      path: `delta_log/${collection}/${partition}/${segment}/${log}`,
      segmentId: BigInt(segment!),
      logId: BigInt(log!),
      own: written.has(path),
      async read(signal) {
        const key = backupFolder(name) + path;
        const bytes = await store.get(key, undefined, signal);
        if (checksumOf(bytes, algorithmOf(sum)) === sum) return bytes;
        throw new TidemarkError("damaged", `${key} is not as backup ${name} was written`, {
          hint: `Look at it with \`tidemark backup verify ${name}\`.`,
        });
      },
    });
  }
  return logs;
}
