/**
 * Where the files of a segment kept by a manifest are.
 *
 *     <base>/_metadata/manifest-<ver>.avro      <base> = insert_log/<collection>/<partition>/<segment>
 *     <base>/_data/…  <base>/_delta/…  <base>/_stats/…
 *     <base>/../lobs/<field>/…
 *
 * Paths are taken from `insert_log/` on: what stands in front is the root that the server had, with the bucket's name
 * before it in 2.6 and without in 3.0.
 */
import { TidemarkError } from "../../pipeline/errors.ts";
import { parseJson } from "../../pipeline/json.ts";
import type { Segment } from "../../pipeline/model/mod.ts";
import { damaged } from "./damage.ts";

export interface ManifestPointer {
  /** 0 or less: nothing was written yet. Only this version counts, not the highest that exists. */
  readonly version: bigint;
  /** Below the storage root, without a slash at the end. */
  readonly base: string;
}

/** `manifest_path` of a segment: JSON with `ver` and `base_path`. Throws `damaged`. */
export function pointerOf(segment: Segment): ManifestPointer {
  const what = `Segment ${segment.id}`;
  let value: unknown;
  try {
    value = parseJson(segment.manifestPath, { bigint: "all" });
  } catch (cause) {
    throw damaged(what, `has a manifest path that is no JSON: ${segment.manifestPath}`, cause);
  }
  const { ver, base_path: path } = (value ?? {}) as { ver?: unknown; base_path?: unknown };
  if (typeof ver !== "bigint" || typeof path !== "string") {
    throw damaged(what, `has a manifest path without a version or a base path: ${segment.manifestPath}`);
  }
  const base = belowRoot(path);
  const expected = `insert_log/${segment.collectionId}/${segment.partitionId}/${segment.id}`;
  if (base !== expected) {
    throw damaged(what, `has a manifest of another place: ${path} where ${expected} was expected`);
  }
  return { version: ver, base };
}

export type ManifestSection = "_data" | "_delta" | "_stats" | "lobs";

/**
 * A path of a manifest below the storage root. Throws `unsupported` for one that lies elsewhere (an external table's).
 */
export function resolvePath(base: string, section: ManifestSection, path: string, what: string): string {
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(path)) {
    throw new TidemarkError("unsupported", `${what} names a file outside of the source's bucket: ${path}`, {
      hint: "External collections are not copied; exclude them.",
    });
  }
  if (path.split("/").includes("..")) throw damaged(what, `names a file outside of its folder: ${path}`);
  const below = belowRoot(path);
  if (below !== undefined) return below;
  if (path.startsWith("/")) {
    throw new TidemarkError("unsupported", `${what} names a file that is not below insert_log: ${path}`);
  }
  if (path.startsWith("_")) return `${base}/${path}`;
  const folder = section === "lobs" ? `${base.slice(0, base.lastIndexOf("/"))}/lobs` : `${base}/${section}`;
  return `${folder}/${path}`;
}

/** From `insert_log/` on; undefined where there is none. */
function belowRoot(path: string): string | undefined {
  const found = /(?:^|\/)(insert_log\/\d+\/-?\d+\/.+?)\/?$/.exec(path);
  return found?.[1];
}

export function manifestFile({ base, version }: ManifestPointer): string {
  return `${base}/_metadata/manifest-${version}.avro`;
}

/** The place of a segment's manifest for people, whatever its pointer says. */
export function manifestPathOf(segment: Segment): string {
  try {
    return manifestFile(pointerOf(segment));
  } catch {
    return `insert_log/${segment.collectionId}/${segment.partitionId}/${segment.id}/_metadata`;
  }
}
