/** Tokens (JWT, HS256) as `pulsar tokens create` makes them. */
import { createHmac } from "node:crypto";

/** `expires`: unix seconds. */
export function makeToken(secret: Uint8Array, role: string, expires?: number): string {
  const part = (value: unknown) =>
    new TextEncoder().encode(JSON.stringify(value)).toBase64({ alphabet: "base64url", omitPadding: true });
  const body = `${part({ alg: "HS256" })}.${part({ sub: role, ...(expires === undefined ? {} : { exp: expires }) })}`;
  return `${body}.${createHmac("sha256", secret).update(body).digest("base64url")}`;
}
