/**
 * What a login with certain permissions may do, in front of an emulator that looks at none:
 * https://cloud.google.com/storage/docs/access-control/iam-json.
 */
import type { Fault, Injure } from "./fault_proxy.ts";

export type GcsPermission = `storage.objects.${"get" | "list" | "create" | "delete"}`;

/** `below`: keys at which they hold, as a condition of the role says it. Other keys, and lists of other prefixes, are refused. */
export function keepPermissions(permissions: readonly GcsPermission[], below: string): Injure {
  const there = new Set<string>();
  /** What it does to which key; undefined: nothing that is looked at, as a piece of an upload, whose session was allowed. */
  const wants = (request: Request): readonly (readonly [GcsPermission, key: string])[] => {
    const { pathname, searchParams } = new URL(request.url);
    const writes = (key: string) =>
      [["storage.objects.create", key], ...there.has(key) ? [["storage.objects.delete", key] as const] : []] as const;
    const rewrite = /\/o\/([^/]+)\/rewriteTo\/b\/[^/]+\/o\/([^/]+)$/.exec(pathname);
    if (rewrite !== null) {
      const [from, to] = [decodeURIComponent(rewrite[1]!), decodeURIComponent(rewrite[2]!)];
      return [["storage.objects.get", from], ...writes(to)];
    }
    const object = /^\/storage\/v1\/b\/[^/]+\/o\/([^/]+)$/.exec(pathname);
    if (object !== null) {
      const key = decodeURIComponent(object[1]!);
      return [[request.method === "DELETE" ? "storage.objects.delete" : "storage.objects.get", key]];
    }
    if (/^\/storage\/v1\/b\/[^/]+\/o$/.test(pathname)) {
      return [["storage.objects.list", searchParams.get("prefix") ?? ""]];
    }
    if (pathname.startsWith("/upload/") && request.method === "POST") return writes(searchParams.get("name")!);
    if (pathname.startsWith("/upload/") && searchParams.has("upload_id")) return [];
    throw new Error(`Of ${request.method} ${pathname} it is not known what it needs`);
  };
  return (request): Fault | undefined => {
    const wanted = wants(request);
    const lacking = wanted.find(([permission, key]) => !permissions.includes(permission) || !key.startsWith(below));
    if (lacking === undefined) {
      for (const [permission, key] of wanted) {
        if (permission === "storage.objects.create") there.add(key);
        if (permission === "storage.objects.delete" && request.method === "DELETE") there.delete(key);
      }
      return undefined;
    }
    const message =
      `a@test.example does not have ${lacking[0]} access to the Google Cloud Storage object. Permission ` +
      `'${lacking[0]}' denied on resource (or it may not exist).`;
    const body = JSON.stringify({ error: { code: 403, message, errors: [{ message, reason: "forbidden" }] } });
    return { kind: "answer", status: 403, body, headers: { "content-type": "application/json" } };
  };
}
