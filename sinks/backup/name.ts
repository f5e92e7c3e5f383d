/** Names of backups from a pattern. */
import { isBackupName } from "../../stores/backup/layout.ts";

/** `{date}` becomes `2026_11_21`, `{time}` `14_05_00`, both in UTC. */
export function backupName(pattern: string, nowMs: number): string {
  const [date, time] = new Date(nowMs).toISOString().slice(0, 19).split("T") as [string, string];
  return pattern.replaceAll("{date}", date.replaceAll("-", "_")).replaceAll("{time}", time.replaceAll(":", "_"));
}

export function isNamePattern(pattern: string): boolean {
  return isBackupName(backupName(pattern, 0));
}
