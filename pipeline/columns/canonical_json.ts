/** JSON texts that mean the same, as the same text: sorted keys, no spaces, numbers by their exact decimal value. */

/**
 * Undefined for a text that is no JSON. Of a key that comes twice the last one counts, as every parser has it. Numbers are
 * not rounded: 12345678901234567890 stays, and 1.50, 15e-1 and 1.5 become one.
 */
export function canonicalJson(text: string): string | undefined {
  const parser = new Parser(text);
  try {
    const value = parser.value(0);
    parser.space();
    return parser.pos === text.length ? value : undefined;
  } catch (thrown) {
    if (thrown instanceof SyntaxError) return undefined;
    throw thrown;
  }
}

/** Deeper nesting than this is taken as no JSON; Milvus' own parsers refuse it too. */
const MAX_DEPTH = 512;

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const STRING = /"[^"\\]*(?:\\.[^"\\]*)*"/y;
const SPACE = /[ \t\r\n]*/y;

class Parser {
  readonly #text: string;
  pos = 0;

  constructor(text: string) {
    this.#text = text;
  }

  space(): void {
    const code = this.#text.charCodeAt(this.pos);
    if (code !== 32 && code !== 9 && code !== 10 && code !== 13) return;
    SPACE.lastIndex = this.pos;
    SPACE.exec(this.#text);
    this.pos = SPACE.lastIndex;
  }

  value(depth: number): string {
    this.space();
    if (depth > MAX_DEPTH) throw new SyntaxError("too deep");
    switch (this.#text[this.pos]) {
      case "{":
        return this.#object(depth);
      case "[":
        return this.#array(depth);
      case '"':
        return canonicalString(this.#token(STRING));
      case "t":
        return this.#word("true");
      case "f":
        return this.#word("false");
      case "n":
        return this.#word("null");
      default:
        return canonicalNumber(this.#token(NUMBER));
    }
  }

  #object(depth: number): string {
    this.pos++;
    const entries = new Map<string, string>();
    this.space();
    if (this.#text[this.pos] === "}") {
      this.pos++;
      return "{}";
    }
    for (;;) {
      this.space();
      const key = canonicalString(this.#token(STRING));
      this.space();
      this.#expect(":");
      entries.set(key, this.value(depth + 1));
      this.space();
      if (this.#text[this.pos] !== ",") break;
      this.pos++;
    }
    this.#expect("}");
    const keys = [...entries.keys()].sort(byUnits);
    let text = "{";
    for (const key of keys) text += `${text.length === 1 ? "" : ","}${key}:${entries.get(key)}`;
    return `${text}}`;
  }

  #array(depth: number): string {
    this.pos++;
    const items: string[] = [];
    this.space();
    if (this.#text[this.pos] === "]") {
      this.pos++;
      return "[]";
    }
    for (;;) {
      items.push(this.value(depth + 1));
      this.space();
      if (this.#text[this.pos] !== ",") break;
      this.pos++;
    }
    this.#expect("]");
    return `[${items.join(",")}]`;
  }

  #word(word: string): string {
    if (!this.#text.startsWith(word, this.pos)) throw new SyntaxError(word);
    this.pos += word.length;
    return word;
  }

  #token(pattern: RegExp): string {
    pattern.lastIndex = this.pos;
    const found = pattern.exec(this.#text);
    if (found === null) throw new SyntaxError("no value");
    this.pos = pattern.lastIndex;
    return found[0];
  }

  #expect(char: string): void {
    if (this.#text[this.pos] !== char) throw new SyntaxError(char);
    this.pos++;
  }
}

/** One way to escape. A token without an escape is its own shortest form. */
function canonicalString(token: string): string {
  return token.includes("\\") ? JSON.stringify(JSON.parse(token)) : token;
}

const PLAIN_INTEGER = /^-?\d*[1-9]$/;

/** Significant digits and a power of ten. */
function canonicalNumber(token: string): string {
  if (PLAIN_INTEGER.test(token)) return token;
  const [, sign, whole, fraction = "", exponent = "0"] = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(token)!;
  const digits = `${whole}${fraction}`.replace(/^0+/, "");
  if (digits === "") return "0";
  const significant = digits.replace(/0+$/, "");
  const power = BigInt(exponent) - BigInt(fraction.length) + BigInt(digits.length - significant.length);
  return power === 0n ? `${sign}${significant}` : `${sign}${significant}e${power}`;
}

function byUnits(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
