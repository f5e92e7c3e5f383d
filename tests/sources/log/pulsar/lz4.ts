/** A simple compressor of LZ4's block format: greedy, by a table of the last place of each four bytes. */

export function lz4Block(plain: Uint8Array): Uint8Array {
  const out: number[] = [];
  const places = new Map<number, number>();
  const extend = (length: number) => {
    for (let rest = length - 15; rest >= 0; rest -= 255) out.push(Math.min(255, rest));
  };
  const sequence = (from: number, to: number, match?: { readonly back: number; readonly length: number }) => {
    const literals = to - from;
    const extra = match === undefined ? 0 : match.length - 4;
    out.push(Math.min(15, literals) << 4 | Math.min(15, extra));
    extend(literals);
    for (let i = from; i < to; i++) out.push(plain[i]!);
    if (match === undefined) return;
    out.push(match.back & 0xff, match.back >> 8);
    extend(extra);
  };
  let from = 0;
  // The format wants five literals at the end, and no match to begin in the last twelve bytes.
  for (let at = 0; at < plain.length - 12;) {
    const four = plain[at]! | plain[at + 1]! << 8 | plain[at + 2]! << 16 | plain[at + 3]! << 24;
    const place = places.get(four);
    places.set(four, at);
    if (place === undefined || at - place > 65_535) {
      at++;
      continue;
    }
    let length = 4;
    while (at + length < plain.length - 5 && plain[place + length] === plain[at + length]) length++;
    sequence(from, at, { back: at - place, length });
    from = at += length;
  }
  sequence(from, plain.length);
  return Uint8Array.from(out);
}
