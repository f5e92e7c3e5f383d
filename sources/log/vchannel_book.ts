/** Remembers the vchannel of each collection on one pchannel: drops of generation 1 carry only the collection's id. */
export class VchannelBook {
  readonly #known = new Map<bigint, string>();
  readonly #lookup: ((collectionId: bigint) => string | undefined) | undefined;

  /** `lookup` is asked for collections that the log has not mentioned yet. */
  constructor(lookup?: (collectionId: bigint) => string | undefined) {
    this.#lookup = lookup;
  }

  learn(collectionId: bigint, vchannel: string): void {
    if (vchannel !== "" && this.#known.get(collectionId) !== vchannel) this.#known.set(collectionId, vchannel);
  }

  /** Empty where nobody knows. */
  of(collectionId: bigint): string {
    return this.#known.get(collectionId) ?? this.#lookup?.(collectionId) ?? "";
  }
}

/** `by-dev-rootcoord-dml_3_4470v1` is carried by `by-dev-rootcoord-dml_3`. */
export function pchannelOfVchannel(vchannel: string): string {
  const at = vchannel.lastIndexOf("_");
  return at < 0 ? vchannel : vchannel.slice(0, at);
}
