/** STS and a bucket, in this process. */
import assert from "node:assert/strict";

/** STS, and a bucket for those who have the newest keys that it gave. */
export class FakeAws implements AsyncDisposable {
  /** Every request to STS, as its parameters. */
  readonly asked: URLSearchParams[] = [];
  refusals = 0;
  /** Another key that the bucket takes, as well as the newest that STS gave. */
  known: string | undefined;
  /** For how long keys are given. */
  validMs = 3_600_000;
  /** Parts that the bucket has; the one with this number is refused once, as if the keys had ended just then. */
  readonly parts = new Map<number, Uint8Array>();
  endAt: number | undefined;
  #given = 0;
  readonly #http = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    (request) => this.#answer(request),
  );

  get endpoint(): string {
    return `http://127.0.0.1:${this.#http.addr.port}`;
  }

  /** What was given is no longer valid. */
  withdraw(): void {
    this.#given++;
  }

  async #answer(request: Request): Promise<Response> {
    const url = new URL(request.url);
    const used = /Credential=([^/]+)\//.exec(request.headers.get("authorization") ?? "")?.[1] ?? "";
    if (url.pathname === "/" && request.method === "POST") {
      const asked = new URLSearchParams(await request.text());
      asked.set("by", used);
      this.asked.push(asked);
      return this.#keys(asked.get("Action")!);
    }
    const body = new Uint8Array(await request.arrayBuffer());
    const part = Number(url.searchParams.get("partNumber") ?? 0);
    if (part !== 0 && part === this.endAt) {
      this.endAt = undefined;
      this.withdraw();
    }
    if (used === this.known) return new Response("hello", { headers: { etag: '"e"' } });
    if (used !== `KEY${this.#given}`) {
      this.refusals++;
      return xml("<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>", 400);
    }
    assert.equal(request.headers.get("x-amz-security-token"), `token-${this.#given}`);
    if (url.searchParams.has("uploads")) {
      return xml("<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>");
    }
    if (part !== 0) {
      this.parts.set(part, body);
      return new Response("", { headers: { etag: `"${part}"` } });
    }
    if (url.searchParams.has("uploadId")) {
      return xml('<CompleteMultipartUploadResult><ETag>"whole"</ETag></CompleteMultipartUploadResult>');
    }
    return new Response("hello", { headers: { etag: '"e"' } });
  }

  #keys(action: string): Response {
    const given = ++this.#given;
    const until = new Date(Date.now() + this.validMs).toISOString();
    return xml(
      `<${action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><${action}Result><Credentials>` +
        `<AccessKeyId>KEY${given}</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>` +
        `<SessionToken>token-${given}</SessionToken><Expiration>${until}</Expiration>` +
        `</Credentials></${action}Result></${action}Response>`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#http.shutdown();
  }
}

function xml(text: string, status = 200): Response {
  return new Response(`<?xml version="1.0"?>${text}`, { status, headers: { "content-type": "application/xml" } });
}
