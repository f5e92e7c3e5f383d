/** Chance by a seed. Returns whether something happens that does once in `of` times. */
export function chanceOf(seed: number): (of: number) => boolean {
  let state = seed | 0;
  return (of) => {
    state = state + 0x6d2b79f5 | 0;
    let mixed = Math.imul(state ^ state >>> 15, 1 | state);
    mixed = mixed + Math.imul(mixed ^ mixed >>> 7, 61 | mixed) ^ mixed;
    return ((mixed ^ mixed >>> 14) >>> 0) % of === 0;
  };
}
