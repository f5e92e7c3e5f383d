/** Expressions of Milvus' grammar over rows in memory, with two values: what is not true is false. */
import assert from "node:assert/strict";
import { decodeFieldData } from "../../pipeline/columns/mod.ts";

export type Value = bigint | number | string | boolean | null;
export type Row = Readonly<Record<string, Value>>;

/** Whether an expression holds of a row. */
export function meets(expression: string, row: Row): boolean {
  return new Reader(expression, row).all();
}

/** The plain scalar columns of one row. */
export function scalarsOf(fieldsData: readonly Uint8Array[], rows: number, row: number): Row {
  return Object.fromEntries(fieldsData.flatMap((bytes): [string, Value][] => {
    const { name, data, valid } = decodeFieldData(bytes, rows);
    if (valid !== undefined && valid[row] !== 1) return [[name, null]];
    switch (data.kind) {
      case "bool":
        return [[name, data.values[row] === 1]];
      case "int32":
        return [[name, BigInt(data.values[row]!)]];
      case "int64":
      case "float":
      case "double":
        return [[name, data.values[row]!]];
      case "utf8":
        return [[name, new TextDecoder().decode(data.values[row])]];
      default:
        return [];
    }
  }));
}

/** `op`: a sign, or its name in a plan. Nothing compares with a null. */
export function compared(a: Value, op: string, b: Value): boolean {
  if (a === null || b === null) return false;
  switch (op) {
    case "GreaterThan":
    case ">":
      return a > b;
    case "GreaterEqual":
    case ">=":
      return a >= b;
    case "LessThan":
    case "<":
      return a < b;
    case "LessEqual":
    case "<=":
      return a <= b;
    case "Equal":
    case "==":
      return a === b;
    case "NotEqual":
    case "!=":
      return a !== b;
    default:
      throw new Error(`no comparison ${op}`);
  }
}

const TOKEN = /\s*("(?:[^"\\]|\\.)*"|\d+(?:\.\d*)?(?:e[+-]?\d+)?|[A-Za-z_]\w*|[<>=!]=|[-+*<>()[\],])/y;

/** Reads an expression by the rules of Milvus' grammar, with its order of operators, and says whether it holds of a row. */
class Reader {
  readonly #tokens: string[] = [];
  #at = 0;

  constructor(text: string, readonly row: Row) {
    TOKEN.lastIndex = 0;
    while (TOKEN.lastIndex < text.length) {
      const from = TOKEN.lastIndex;
      const found = TOKEN.exec(text);
      assert.ok(found !== null, `no token in ${text.slice(from)}`);
      this.#tokens.push(found[1]!);
    }
  }

  all(): boolean {
    const result = this.#or();
    assert.equal(this.#at, this.#tokens.length, `left over: ${this.#tokens.slice(this.#at)}`);
    return result as boolean;
  }

  #take(...wanted: readonly string[]): string | undefined {
    const token = this.#tokens[this.#at];
    if (token === undefined || !wanted.includes(token)) return undefined;
    this.#at++;
    return token;
  }

  #or(): Value {
    let left = this.#and();
    while (this.#take("or") !== undefined) {
      const right = this.#and();
      left = (left || right) as boolean;
    }
    return left;
  }

  #and(): Value {
    let left = this.#relation();
    while (this.#take("and") !== undefined) {
      const right = this.#relation();
      left = (left && right) as boolean;
    }
    return left;
  }

  #relation(): Value {
    const left = this.#sum();
    if (this.#take("is") !== undefined) {
      const not = this.#take("not") !== undefined;
      assert.ok(this.#take("null") !== undefined);
      return (left === null) !== not;
    }
    if (this.#take("in") !== undefined) return this.#list().includes(left);
    if (this.#take("like") !== undefined) return likes(left as string, this.#sum() as string);
    const op = this.#take("<", "<=", ">", ">=", "==", "!=");
    return op === undefined ? left : compared(left, op, this.#sum());
  }

  #sum(): Value {
    let left = this.#product();
    for (let op = this.#take("+", "-"); op !== undefined; op = this.#take("+", "-")) {
      const right = this.#product();
      left = op === "+" ? (left as bigint) + (right as bigint) : (left as bigint) - (right as bigint);
    }
    return left;
  }

  #product(): Value {
    let left = this.#unary();
    while (this.#take("*") !== undefined) left = (left as bigint) * (this.#unary() as bigint);
    return left;
  }

  #unary(): Value {
    if (this.#take("-") !== undefined) return -(this.#unary() as number);
    // Binds as a sign does, so what it negates must stand in parentheses.
    if (this.#take("not") !== undefined) return !this.#unary();
    return this.#atom();
  }

  #atom(): Value {
    if (this.#take("(") !== undefined) {
      const inner = this.#or();
      assert.ok(this.#take(")") !== undefined);
      return inner;
    }
    const token = this.#tokens[this.#at++]!;
    if (token.startsWith('"')) return JSON.parse(token);
    if (token === "true" || token === "false") return token === "true";
    if (/^\d+$/.test(token)) return BigInt(token);
    if (/^\d/.test(token)) return Number(token);
    assert.ok(token in this.row, `unknown name ${token}`);
    return this.row[token]!;
  }

  #list(): Value[] {
    assert.ok(this.#take("[") !== undefined);
    const values: Value[] = [];
    while (this.#take("]") === undefined) {
      values.push(this.#sum());
      this.#take(",");
    }
    return values;
  }
}

function likes(own: string, pattern: string): boolean {
  const parts = pattern.split("%");
  if (parts.length === 3) return own.includes(parts[1]!);
  return parts[0] === "" ? own.endsWith(parts[1]!) : own.startsWith(parts[0]!);
}
