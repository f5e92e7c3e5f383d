/** Whether an encrypted backup is as it was written, without its key: what is stored against the sums beside it. */
import { toTidemarkError } from "../../pipeline/errors.ts";
import type { ObjectStore } from "../../pipeline/model/mod.ts";
import { backupFolder, checksumOfStream, hasSum, metaKey, readSums } from "../../stores/mod.ts";
import { isSampled, type VerifyFinding, type VerifyOptions, type VerifyReport } from "./verify_report.ts";

/** `stored`: as it is below the encryption. Finds what was lost or rotted; whether rows are what they should be the key tells. */
export async function verifyStored(
  stored: ObjectStore,
  name: string,
  options: VerifyOptions,
  signal: AbortSignal,
): Promise<VerifyReport> {
  const { sums } = await readSums(stored, name, signal);
  const there = new Map<string, bigint>();
  for await (const { key, size } of stored.list(backupFolder(name), signal)) {
    if (hasSum(name, key)) there.set(key, size);
  }
  const findings: VerifyFinding[] = [];
  const add = (kind: VerifyFinding["kind"], key: string, detail: string) => void findings.push({ kind, key, detail });
  const { sample = 1, seed = new Date().toISOString().slice(0, 10) } = options;
  const last = metaKey(name, "backup_meta");
  if (!there.has(last) && !sums.has(last)) add("lost", last, "is not there: the backup is half-written");
  let [found, read, bytesRead] = [0, 0, 0n];
  const keys = [...sums.keys()];
  let next = 0;
  const worker = async () => {
    for (let key = keys[next++]; key !== undefined; key = keys[next++]) {
      signal.throwIfAborted();
      const { size, sum } = sums.get(key)!;
      const is = there.get(key);
      if (is === undefined) add("lost", key, "is not there");
      else if (is !== size) add("damaged", key, `has ${is} bytes, expected ${size}`);
      else if (!isSampled(key.slice(backupFolder(name).length), { sample, seed })) found++;
      else {
        try {
          const now = await checksumOfStream(stored.stream(key, signal), "sha256");
          read++;
          bytesRead += now.bytes;
          if (now.sum === sum) found++;
          else add("damaged", key, `has checksum ${now.sum}, expected ${sum}`);
        } catch (thrown) {
          signal.throwIfAborted();
          const error = toTidemarkError(thrown);
          add(error.code === "not_found" ? "lost" : "damaged", key, error.message);
        }
      }
      options.onProgress?.({ objects: found, bytes: bytesRead, ofObjects: keys.length });
    }
  };
  await Promise.all(Array.from({ length: options.parallel ?? 8 }, worker));
  const unchecked = [...there.keys()].filter((key) => !sums.has(key)).length;
  const count = (kind: VerifyFinding["kind"]) => findings.filter((finding) => finding.kind === kind).length;
  return {
    name,
    contentsRead: false,
    ok: findings.length === 0,
    found: found + unchecked,
    delayed: 0,
    lost: count("lost"),
    damaged: count("damaged"),
    read: { objects: read, bytes: bytesRead },
    unchecked,
    rows: undefined,
    rewrittenSegments: 0,
    findings,
    restorable: undefined,
  };
}
