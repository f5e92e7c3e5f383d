/**
 * Well-known binary and well-known text of one geometry. Milvus' log and files hold binary, its API takes and gives text
 * (internal/proxy/validate_util.go, checkGeometryFieldData). Coordinates are exact: each is the shortest decimal that reads
 * back as the same double. OGC 06-103r4, sections 7 and 8; with Z, M or both as 1000, 2000 and 3000 on the type.
 */
import { broken } from "./wire.ts";

const NAMES = [
  "",
  "POINT",
  "LINESTRING",
  "POLYGON",
  "MULTIPOINT",
  "MULTILINESTRING",
  "MULTIPOLYGON",
  "GEOMETRYCOLLECTION",
] as const;
const [POINT, LINE, POLYGON, MULTIPOINT, MULTILINE, MULTIPOLYGON, COLLECTION] = [1, 2, 3, 4, 5, 6, 7] as const;
const DIMENSIONS = ["", " Z", " M", " ZM"] as const;
/** What the parts of a multi-geometry are. */
const PART: Readonly<Record<number, number>> = { [MULTIPOINT]: POINT, [MULTILINE]: LINE, [MULTIPOLYGON]: POLYGON };
/** Deeper than anybody nests collections; ends what was made to exhaust the stack. */
const MAX_DEPTH = 32;

/** Throws `damaged` for bytes that are no geometry. */
export function textOfGeometry(wkb: Uint8Array): string {
  const reader = new Wkb(wkb);
  const text = reader.geometry(0);
  reader.end();
  return text;
}

/** Little-endian, as Milvus stores it; an empty point is NaN NaN. Throws `damaged` for text that is no geometry. */
export function geometryOfText(text: string): Uint8Array {
  const parser = new Wkt(text);
  parser.geometry(0);
  return parser.finish();
}

class Wkb {
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  geometry(depth: number): string {
    const { type, layout, little } = this.#head(depth);
    const tag = `${NAMES[type]}${DIMENSIONS[layout]}`;
    if (type === COLLECTION) {
      const parts = this.#many(little, () => this.geometry(depth + 1));
      return parts.length === 0 ? `${tag} EMPTY` : `${tag} (${parts.join(", ")})`;
    }
    return `${tag} ${this.#body(type, layout, little, depth)}`;
  }

  end(): void {
    if (this.#at !== this.#view.byteLength) throw broken("a geometry goes on behind its end");
  }

  #head(depth: number): { type: number; layout: number; little: boolean } {
    if (depth > MAX_DEPTH) throw broken("a geometry is nested too deeply");
    const little = this.#take(1, (at) => this.#view.getUint8(at)) === 1;
    const code = this.#take(4, (at) => this.#view.getUint32(at, little));
    const type = code % 1000;
    const layout = Math.floor(code / 1000);
    if (type < POINT || type > COLLECTION || layout > 3) throw broken(`a geometry has the unknown type ${code}`);
    return { type, layout, little };
  }

  #body(type: number, layout: number, little: boolean, depth: number): string {
    const width = widthOf(layout);
    if (type === POINT) {
      const point = this.#point(width, little);
      return point.every((text) => text === "NaN") ? "EMPTY" : `(${point.join(" ")})`;
    }
    const points = () => listed(this.#many(little, () => this.#point(width, little).join(" ")));
    if (type === LINE) return points();
    if (type === POLYGON) return listed(this.#many(little, points));
    return listed(this.#many(little, () => {
      const part = this.#head(depth + 1);
      if (part.type !== PART[type]) throw broken(`a ${NAMES[type]} has a part of type ${part.type}`);
      return this.#body(part.type, part.layout, part.little, depth + 1);
    }));
  }

  #many(little: boolean, one: () => string): string[] {
    const count = this.#take(4, (at) => this.#view.getUint32(at, little));
    // Each takes four bytes at least: a count that is no count is not allocated.
    if (count > (this.#view.byteLength - this.#at) / 4) throw broken(`a geometry of ${count} parts is cut off`);
    return Array.from({ length: count }, one);
  }

  #point(width: number, little: boolean): string[] {
    return Array.from({ length: width }, () => decimal(this.#take(8, (at) => this.#view.getFloat64(at, little))));
  }

  #take(length: number, read: (at: number) => number): number {
    const at = this.#at;
    if (at + length > this.#view.byteLength) throw broken("a geometry is cut off");
    this.#at += length;
    return read(at);
  }
}

function listed(parts: readonly string[]): string {
  return parts.length === 0 ? "EMPTY" : `(${parts.join(", ")})`;
}

function widthOf(layout: number): number {
  return layout === 0 ? 2 : layout === 3 ? 4 : 3;
}

/** Without an exponent, which not every reader of such text knows. */
function decimal(value: number): string {
  const text = Object.is(value, -0) ? "-0" : String(value);
  const match = /^(-?)(\d+)(?:\.(\d+))?e([+-]\d+)$/.exec(text);
  if (match === null) return text;
  const [, sign, whole, fraction = "", exponent] = match;
  const digits = `${whole}${fraction}`;
  const point = whole!.length + Number(exponent);
  if (point <= 0) return `${sign}0.${"0".repeat(-point)}${digits}`;
  return `${sign}${digits.padEnd(point, "0")}`;
}

class Wkt {
  readonly #tokens: readonly string[];
  #at = 0;
  readonly #out: number[] = [];

  constructor(text: string) {
    this.#tokens = text.toUpperCase().match(/[A-Z]+|[(),]|[-+]?(?:\d+\.?\d*|\.\d+)(?:E[-+]?\d+)?|\S/g) ?? [];
  }

  finish(): Uint8Array {
    if (this.#at !== this.#tokens.length) throw this.#unknown();
    return Uint8Array.from(this.#out);
  }

  geometry(depth: number): void {
    if (depth > MAX_DEPTH) throw broken("a geometry is nested too deeply");
    let name = this.#next();
    let layout = 0;
    const glued = /^(.*[A-Z])(ZM|Z|M)$/.exec(name);
    if (!NAMES.includes(name as never) && glued !== null) {
      name = glued[1]!;
      layout = layoutOf(glued[2]!);
    } else if (["Z", "M", "ZM"].includes(this.#tokens[this.#at] ?? "")) layout = layoutOf(this.#next());
    const type = NAMES.indexOf(name as typeof NAMES[number]);
    if (type < 1) throw this.#unknown();
    this.#body(type, layout, depth);
  }

  #body(type: number, layout: number, depth: number): void {
    this.#head(type, layout);
    const width = widthOf(layout);
    const point = () => this.#point(width);
    switch (type) {
      case POINT:
        if (this.#isEmpty()) { for (let i = 0; i < width; i++) this.#double(NaN); }
        else this.#inside(point);
        return;
      case LINE:
        return this.#list(point);
      case POLYGON:
        return this.#list(() => this.#list(point));
      case COLLECTION:
        return this.#list(() => this.geometry(depth + 1));
      default:
        return this.#list(() => {
          // The points of a MULTIPOINT may stand without parentheses.
          if (type !== MULTIPOINT || ["(", "EMPTY"].includes(this.#tokens[this.#at] ?? "")) {
            return this.#body(PART[type]!, layout, depth);
          }
          this.#head(POINT, layout);
          point();
        });
    }
  }

  #head(type: number, layout: number): void {
    this.#out.push(1);
    this.#uint32(type + layout * 1000);
  }

  #list(one: () => void): void {
    const at = this.#out.length;
    this.#uint32(0);
    if (this.#isEmpty()) return;
    let count = 0;
    this.#inside(() => {
      do {
        one();
        count++;
      } while (this.#skip(","));
    });
    this.#out.splice(at, 4, ...new Uint8Array(Uint32Array.of(count).buffer));
  }

  #inside(work: () => void): void {
    if (!this.#skip("(")) throw this.#unknown();
    work();
    if (!this.#skip(")")) throw this.#unknown();
  }

  #point(width: number): void {
    for (let i = 0; i < width; i++) {
      const text = this.#next();
      const value = Number(text);
      if (text !== "NAN" && Number.isNaN(value)) throw this.#unknown();
      this.#double(value);
    }
  }

  #isEmpty(): boolean {
    return this.#skip("EMPTY");
  }

  #skip(token: string): boolean {
    if (this.#tokens[this.#at] !== token) return false;
    this.#at++;
    return true;
  }

  #next(): string {
    return this.#tokens[this.#at++] ?? "";
  }

  #uint32(value: number): void {
    this.#out.push(...new Uint8Array(Uint32Array.of(value).buffer));
  }

  #double(value: number): void {
    this.#out.push(...new Uint8Array(Float64Array.of(value).buffer));
  }

  #unknown() {
    return broken("a geometry's text cannot be read");
  }
}

function layoutOf(suffix: string): number {
  return DIMENSIONS.indexOf(` ${suffix}` as typeof DIMENSIONS[number]);
}
