/** What a server that checks signatures of version 4 says of a request: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html */
import { createHash, createHmac } from "node:crypto";

export interface SignatureOptions {
  readonly keyId: string;
  readonly secret: string;
  /** Of the credential's scope; other regions are refused. */
  readonly region: string;
}

/** What is wrong with its signature; undefined: nothing. `body`: what came. */
export function signatureProblem(
  request: Request,
  body: Uint8Array,
  { keyId, secret, region }: SignatureOptions,
): string | undefined {
  const { headers, method, url } = request;
  const found = /^AWS4-HMAC-SHA256 Credential=([^,]+), SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/
    .exec(headers.get("authorization") ?? "");
  if (found === null) return "no signature";
  const [, credential, signed, signature] = found as unknown as [string, string, string, string];
  const [id, day, ...scope] = credential.split("/") as [string, string, ...string[]];
  if (id !== keyId) return `the key ${id} is unknown`;
  if (scope.join("/") !== `${region}/s3/aws4_request`) return `scope ${scope.join("/")}`;
  const names = signed.split(";");
  const unsigned = [...headers.keys()].filter((name) => /^x-(amz|goog)-|^host$/.test(name) && !names.includes(name));
  if (unsigned.length > 0) return `not signed: ${unsigned}`;
  // What proxies in front of services change: Google's do.
  const changed = names.filter((name) => name === "accept-encoding" || name === "connection" || name === "user-agent");
  if (changed.length > 0) return `signed, and changed on the way: ${changed}`;
  const hash = createHash("sha256").update(body).digest("hex");
  if (headers.get("x-amz-content-sha256") !== hash) return "another body than was signed";
  const { pathname, searchParams } = new URL(url);
  const query = [...searchParams].map(([name, value]) => [encode(name), encode(value)] as const)
    .sort(([a, x], [b, y]) => a < b ? -1 : a > b ? 1 : x < y ? -1 : 1);
  const canonical = [
    method,
    pathname.split("/").map((part) => encode(decodeURIComponent(part))).join("/"),
    query.map((pair) => pair.join("=")).join("&"),
    ...names.map((name) => `${name}:${(headers.get(name) ?? "").trim().replace(/ +/g, " ")}`),
    "",
    signed,
    hash,
  ].join("\n");
  const time = headers.get("x-amz-date") ?? "";
  if (!time.startsWith(day)) return `the day ${day} of another time, ${time}`;
  const text = [
    "AWS4-HMAC-SHA256",
    time,
    [day, ...scope].join("/"),
    createHash("sha256").update(canonical).digest("hex"),
  ];
  const hmac = (key: string | Uint8Array, value: string) => createHmac("sha256", key).update(value).digest();
  const key = [day, ...scope].reduce<string | Uint8Array>((last, value) => hmac(last, value), `AWS4${secret}`);
  return hmac(key, text.join("\n")).toString("hex") === signature ? undefined : "another signature";
}

function encode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (found) => `%${found.charCodeAt(0).toString(16).toUpperCase()}`);
}
