/** Well-known text to well-known binary, for the shapes that recordings hold. */

/** Little-endian, in hexadecimal. `LINESTRING (0 0, 0 1)`. */
export function hexOfWkt(text: string): string {
  const match = /^([A-Z]+) *\((.*)\)$/.exec(text.trim());
  const write = match === null ? undefined : SHAPES[match[1]!];
  if (match === null || write === undefined) throw new Error(`No known shape: ${text}`);
  const bytes: number[] = [1];
  write(bytes, match[2]!);
  return new Uint8Array(bytes).toHex();
}

const SHAPES: Record<string, (bytes: number[], inner: string) => void> = {
  POINT: (bytes, inner) => {
    uint32(bytes, 1);
    point(bytes, inner);
  },
  LINESTRING: (bytes, inner) => {
    uint32(bytes, 2);
    points(bytes, inner);
  },
  POLYGON: (bytes, inner) => {
    uint32(bytes, 3);
    const rings = inner.match(/\(([^()]*)\)/g) ?? [];
    uint32(bytes, rings.length);
    for (const ring of rings) points(bytes, ring.slice(1, -1));
  },
};

function points(bytes: number[], text: string): void {
  const all = text.split(",");
  uint32(bytes, all.length);
  for (const one of all) point(bytes, one);
}

function point(bytes: number[], text: string): void {
  const [x, y] = text.trim().split(/\s+/).map(Number);
  bytes.push(...new Uint8Array(Float64Array.of(x!, y!).buffer));
}

function uint32(bytes: number[], value: number): void {
  bytes.push(...new Uint8Array(Uint32Array.of(value).buffer));
}
