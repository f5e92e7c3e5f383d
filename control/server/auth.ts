/** Who asks: bearer tokens, known by their SHA-256 only. */
import { createHash, timingSafeEqual } from "node:crypto";
import type { ListenConfig, Role } from "../../config/mod.ts";

export interface Caller {
  readonly name: string;
  readonly role: Role;
}

export interface KnownToken extends Caller {
  readonly sha256: string;
}

const RANK: Readonly<Record<Role, number>> = { read: 0, operate: 1, admin: 2 };

export function mayDo(caller: Caller, needed: Role): boolean {
  return RANK[caller.role] >= RANK[needed];
}

export function tokenHash(token: string): string {
  return createHash("sha256").update(token, "utf8").digest("hex");
}

/** Of the file; tokens in clear are hashed here and kept nowhere. */
export function tokensOf({ auth }: ListenConfig): KnownToken[] {
  return (auth?.tokens ?? []).map(({ name, role, token, sha256 }) => ({
    name,
    role,
    sha256: sha256 ?? tokenHash(token!),
  }));
}

/** Undefined for a header that names nobody. Looks at every token whichever matches, so that time tells nothing. */
export function callerOf(header: string | undefined, known: Iterable<KnownToken>): Caller | undefined {
  const match = /^Bearer ([\x21-\x7e]{1,512})$/i.exec(header ?? "");
  const given = createHash("sha256").update(match?.[1] ?? "", "utf8").digest();
  let found: Caller | undefined;
  for (const { name, role, sha256 } of known) {
    if (timingSafeEqual(given, Uint8Array.from(sha256.match(/../g)!, (byte) => parseInt(byte, 16)))) {
      found = { name, role };
    }
  }
  return match === null ? undefined : found;
}
