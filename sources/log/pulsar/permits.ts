/**
 * Back-pressure in Pulsar counts messages, memory counts bytes: how many messages may come is what fits, by the largest of those
 * that came lately. It begins with one and grows, for a message may be 100 MiB long.
 */
import { uint32 } from "./frame.ts";

/** A grant larger than this brings nothing more. */
const MOST = 1000;
/** So much more than the last grant, at most. */
const GROWTH = 4;
/** Messages after which a large one is forgotten. */
const MEMORY = 256;
/** Of the window, at which what came is too much. */
const FLOOD = 2;

export class Permits {
  readonly #window: number;
  #largest = 0;
  #largestBefore = 0;
  #seen = 0;
  /** Messages that were granted and did not come yet; below 0 where the last batch was larger than the rest of a grant. */
  #open = 0;
  #last = 0;

  /** `window`: bytes that may wait. */
  constructor(window: number) {
    this.#window = window;
  }

  /** A new subscription has none. What is known of the messages' sizes stays. */
  begin(): void {
    this.#open = 0;
    this.#last = Math.min(this.#last, GROWTH);
  }

  /** How many more to grant where `waiting` bytes wait. 0: none, or too few to be worth a command. */
  more(waiting: number): number {
    const size = Math.max(this.#largest, this.#largestBefore);
    const fits = size === 0 ? 1 : Math.floor((this.#window - waiting) / size);
    // One at least where nothing waits, however large it is.
    const wanted = Math.min(MOST, Math.max(fits, waiting === 0 ? 1 : 0), Math.max(1, this.#last * GROWTH));
    const count = wanted - Math.max(0, this.#open);
    if (count <= 0 || (this.#open > 0 && count * 2 < wanted)) return 0;
    // What a batch took too much is owed.
    const granted = count - Math.min(0, this.#open);
    this.#open += granted;
    this.#last = wanted;
    return granted;
  }

  /** An entry came, of one message or more. */
  came(rest: Uint8Array): void {
    const count = messagesIn(rest);
    this.#open -= count;
    const size = rest.length / count;
    if (size > this.#largest) this.#largest = size;
    this.#seen += count;
    if (this.#seen < MEMORY) return;
    this.#seen = 0;
    this.#largestBefore = this.#largest;
    this.#largest = 0;
  }

  floods(waiting: number, bytes: number): boolean {
    return waiting + bytes > FLOOD * this.#window;
  }
}

const NUM_MESSAGES_IN_BATCH = 11;

/** Looks for the one field of the metadata; 1 where it does not find it. Whether the bytes are right is said by who reads them. */
function messagesIn(rest: Uint8Array): number {
  let at = rest.length > 10 && rest[0] === 0x0e && rest[1] === 0x01 ? 6 : 0;
  if (rest.length - at < 4) return 1;
  const end = Math.min(rest.length, at + 4 + uint32(rest, at));
  at += 4;
  const varint = () => {
    let [value, shift] = [0, 1];
    for (;;) {
      const byte = at < end ? rest[at++]! : 0;
      value += (byte & 0x7f) * shift;
      if (byte < 0x80) return value;
      shift *= 128;
    }
  };
  while (at < end) {
    const tag = varint();
    const wire = tag % 8;
    if (wire === 0) {
      const value = varint();
      if (Math.floor(tag / 8) === NUM_MESSAGES_IN_BATCH) return Math.max(1, value);
    } else if (wire === 2) {
      const length = varint();
      at += length;
    } else if (wire === 1) at += 8;
    else if (wire === 5) at += 4;
    else return 1;
  }
  return 1;
}
