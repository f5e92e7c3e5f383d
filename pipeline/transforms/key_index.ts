/**
 * A set of keys on typed arrays: open addressing over dense entries, some 20 bytes an int64 key instead of the 100 and
 * more of a Map. An int64 key is its two halves; a varchar key is a 128-bit hash of its text: two of 10^9 keys collide
 * with a probability of about 10^-21, which is less than that of a memory error.
 */
import { TidemarkError } from "../errors.ts";
import type { Keys } from "../model/mod.ts";

const FIRST_SLOTS = 1024;

/** The words of one batch of keys, `width` per key. */
export interface KeyWords {
  readonly width: 2 | 4;
  readonly words: Int32Array;
  readonly count: number;
}

/** Keys as words: views of an int64 array's memory, hashes of texts. */
export function wordsOf(keys: Keys): KeyWords {
  const count = keys.values.length;
  if (keys.kind === "int64") {
    const values = keys.values instanceof BigInt64Array ? keys.values : BigInt64Array.from(keys.values);
    return { width: 2, words: new Int32Array(values.buffer, values.byteOffset, count * 2), count };
  }
  const words = new Int32Array(count * 4);
  for (let i = 0; i < count; i++) hashText(keys.values[i]!, words, i * 4);
  return { width: 4, words, count };
}

/** Spreads the bits of a key's words over 32. */
export function hashWords(words: Int32Array, at: number, width: 2 | 4): number {
  if (width === 4) return words[at]!;
  let hash = Math.imul(words[at]! ^ Math.imul(words[at + 1]!, 0x9e3779b1), 0x85ebca6b);
  hash ^= hash >>> 15;
  hash = Math.imul(hash ^ words[at + 1]!, 0xc2b2ae35);
  return hash ^ (hash >>> 13);
}

/** Which of `parts` a key belongs to; independent of where it stands in a table. */
export function partOf(hash: number, parts: number): number {
  const mixed = Math.imul(hash ^ (hash >>> 16), 0x7feb352d);
  return ((mixed ^ (mixed >>> 15)) >>> 0) % parts;
}

export class KeyIndex {
  /** Number of entries; entry numbers are 0 to size - 1 in the order of their adding. */
  size = 0;
  readonly width: 2 | 4;
  #words: Int32Array;
  #tags: Int32Array;
  #slots: Int32Array;
  #mask: number;

  constructor(width: 2 | 4, expected = 0) {
    let slots = FIRST_SLOTS;
    while (slots * 3 < expected * 4) slots *= 2;
    this.width = width;
    this.#slots = new Int32Array(slots);
    this.#mask = slots - 1;
    const capacity = Math.max(FIRST_SLOTS / 2, expected);
    this.#words = new Int32Array(capacity * width);
    this.#tags = new Int32Array(capacity);
  }

  get capacity(): number {
    return this.#tags.length;
  }

  get bytes(): number {
    return this.#words.byteLength + this.#tags.byteLength + this.#slots.byteLength;
  }

  /** The entry of (key, tag), -1 if there is none. `hash` = hashWords of the key. */
  find(words: Int32Array, at: number, hash: number, tag: number): number {
    for (let slot = this.#slotOf(hash, tag);; slot = (slot + 1) & this.#mask) {
      const entry = this.#slots[slot]! - 1;
      if (entry < 0 || this.#is(entry, words, at, tag)) return entry;
    }
  }

  /** The entry of (key, tag), added if need be: then it is the old `size`. */
  add(words: Int32Array, at: number, hash: number, tag: number): number {
    for (let slot = this.#slotOf(hash, tag);; slot = (slot + 1) & this.#mask) {
      const entry = this.#slots[slot]! - 1;
      if (entry >= 0) {
        if (this.#is(entry, words, at, tag)) return entry;
        continue;
      }
      const added = this.size++;
      if (added === this.#tags.length) this.#growEntries();
      const base = added * this.width;
      for (let i = 0; i < this.width; i++) this.#words[base + i] = words[at + i]!;
      this.#tags[added] = tag;
      this.#slots[slot] = added + 1;
      if (this.size * 4 > this.#slots.length * 3) this.#growSlots();
      return added;
    }
  }

  tagOf(entry: number): number {
    return this.#tags[entry]!;
  }

  /** The memory in which entry `i`'s words begin at `i * width`. Valid until the next add. */
  get words(): Int32Array {
    return this.#words;
  }

  #is(entry: number, words: Int32Array, at: number, tag: number): boolean {
    const base = entry * this.width;
    const own = this.#words;
    return own[base] === words[at] && own[base + 1] === words[at + 1] && this.#tags[entry] === tag &&
      (this.width === 2 || (own[base + 2] === words[at + 2] && own[base + 3] === words[at + 3]));
  }

  #slotOf(hash: number, tag: number): number {
    const mixed = hash ^ Math.imul(tag + 1, 0x27d4eb2f);
    return (mixed ^ (mixed >>> 17)) & this.#mask;
  }

  #growEntries(): void {
    const capacity = Math.ceil(this.#tags.length * 1.5);
    const words = new Int32Array(capacity * this.width);
    words.set(this.#words);
    this.#words = words;
    const tags = new Int32Array(capacity);
    tags.set(this.#tags);
    this.#tags = tags;
  }

  #growSlots(): void {
    const slots = new Int32Array(this.#slots.length * 2);
    this.#mask = slots.length - 1;
    for (let entry = 0; entry < this.size; entry++) {
      const hash = hashWords(this.#words, entry * this.width, this.width);
      let slot = this.#slotOf(hash, this.#tags[entry]!);
      while (slots[slot] !== 0) slot = (slot + 1) & this.#mask;
      slots[slot] = entry + 1;
    }
    this.#slots = slots;
  }
}

/** Keys of one collection have one kind; another is a broken file or record. */
export function checkWidth(index: KeyIndex, keys: KeyWords): void {
  if (keys.count > 0 && keys.width !== index.width) {
    throw new TidemarkError("damaged", "int64 and varchar keys come together in one collection", {
      hint: "A delta file or record does not fit the collection's primary key; look at it with `tidemark inspect`.",
    });
  }
}

/** Four lanes over the text's UTF-16 units, each mixed and finished as in MurmurHash3. */
function hashText(text: string, out: Int32Array, at: number): void {
  let a = 0x239b961b ^ text.length;
  let b = 0xab0e9789 | 0;
  let c = 0x38b34ae5;
  let d = 0xa1e38b93 | 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i) + 1;
    a = Math.imul(a ^ unit, 0x85ebca6b);
    b = Math.imul(b ^ unit ^ (a >>> 13), 0xc2b2ae35);
    c = Math.imul(c ^ unit ^ (b >>> 15), 0x27d4eb2f);
    d = Math.imul(d ^ unit ^ (c >>> 16), 0x165667b1);
    a ^= d >>> 14;
  }
  a = finish(a + d);
  b = finish(b + a);
  c = finish(c + b);
  d = finish(d + c);
  out[at] = a + d;
  out[at + 1] = b;
  out[at + 2] = c;
  out[at + 3] = d;
}

function finish(value: number): number {
  let hash = value | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}
