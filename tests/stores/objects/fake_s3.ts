/** An S3 server in this process that keeps to limits and manners as a test gives them; it looks at no signatures. */
import { createHash } from "node:crypto";
import { createS3Store } from "../../../stores/objects/s3.ts";
import type { S3StoreOptions } from "../../../stores/objects/s3_options.ts";

export interface FakeS3Options {
  /** Bytes of one PUT or COPY of a whole object, and of one part. */
  readonly wholeMax?: number;
  readonly partsMax?: number;
  /** All parts but the last must have one size, as Cloudflare R2 wants it. */
  readonly equalParts?: boolean;
  /** An answer in the place of the server's own; undefined: the server's own. */
  readonly answer?: (
    request: Request,
    url: URL,
    body: Uint8Array,
  ) => Response | undefined | Promise<Response | undefined>;
}

interface FakeUpload {
  readonly key: string;
  readonly parts: Map<number, Uint8Array>;
}

export class FakeS3 implements AsyncDisposable {
  /** By `bucket/key`. */
  readonly objects = new Map<string, Uint8Array>();
  readonly uploads = new Map<string, FakeUpload>();
  /** Method, path and query, in the order in which they came. */
  readonly requests: string[] = [];
  readonly headers: Headers[] = [];
  readonly #options: FakeS3Options;
  readonly #http: Deno.HttpServer<Deno.NetAddr>;
  #uploads = 0;

  constructor(options: FakeS3Options = {}) {
    this.#options = options;
    this.#http = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, (request) => this.#serve(request));
  }

  get port(): number {
    return this.#http.addr.port;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  store(more: Partial<S3StoreOptions> = {}) {
    return createS3Store({
      endpoint: this.endpoint,
      bucket: "b",
      prefix: "",
      region: "us-east-1",
      credentials: { accessKeyId: "id", secretAccessKey: "secret" },
      pathStyle: true,
      sse: { mode: "none" },
      tls: { ca: undefined, insecure: false },
      maxConcurrency: 8,
      ...more,
    });
  }

  async #serve(request: Request): Promise<Response> {
    const url = new URL(request.url);
    this.requests.push(`${request.method} ${decodeURIComponent(url.pathname)}${url.search}`);
    this.headers.push(request.headers);
    const body = await request.bytes();
    return await this.#options.answer?.(request, url, body) ?? this.#answer(request, url, body);
  }

  #answer({ method, headers }: Request, url: URL, body: Uint8Array): Response {
    const { wholeMax = Infinity, partsMax = Infinity } = this.#options;
    const key = decodeURIComponent(url.pathname.slice(1));
    const id = url.searchParams.get("uploadId");
    const number = Number(url.searchParams.get("partNumber"));
    const source = headers.get("x-amz-copy-source");
    const upload = id === null ? undefined : this.uploads.get(id);
    if (id !== null && upload === undefined) return s3Refusal(404, "NoSuchUpload");
    if (method === "POST" && url.searchParams.has("uploads")) {
      const made = `u${++this.#uploads}`;
      this.uploads.set(made, { key, parts: new Map() });
      return xml(`<InitiateMultipartUploadResult><UploadId>${made}</UploadId></InitiateMultipartUploadResult>`);
    }
    if (method === "POST" && url.searchParams.has("delete")) {
      for (const [, gone] of new TextDecoder().decode(body).matchAll(/<Key>(.*?)<\/Key>/g)) {
        this.objects.delete(`${key.replace(/\/$/, "")}/${gone}`);
      }
      return xml("<DeleteResult/>");
    }
    if (method === "POST" && upload !== undefined) return this.#complete(id!, upload, new TextDecoder().decode(body));
    if (method === "DELETE") {
      if (upload === undefined) this.objects.delete(key);
      else this.uploads.delete(id!);
      return new Response(null, { status: 204 });
    }
    if (method === "PUT") {
      const bytes = source === null ? body : this.#source(source, headers.get("x-amz-copy-source-range"));
      if (bytes === undefined) return s3Refusal(404, "NoSuchKey");
      if (bytes.length > wholeMax) return s3Refusal(400, source === null ? "EntityTooLarge" : "InvalidRequest");
      if (upload === undefined) {
        if (headers.get("if-none-match") === "*" && this.objects.has(key)) return s3Refusal(412, "PreconditionFailed");
        this.objects.set(key, bytes);
      } else {
        if (number < 1 || number > partsMax) return s3Refusal(400, "InvalidArgument");
        upload.parts.set(number, bytes);
      }
      if (source === null) return new Response("", { headers: { etag: etagOf(bytes) } });
      const result = upload === undefined ? "CopyObjectResult" : "CopyPartResult";
      return xml(`<${result}><ETag>${etagOf(bytes)}</ETag></${result}>`);
    }
    if (method === "GET" && !key.includes("/", key.indexOf("/") + 1) && url.searchParams.has("prefix")) {
      return this.#list(key.replace(/\/$/, ""), url.searchParams.get("prefix") ?? "");
    }
    return this.#read(method, key, headers.get("range"));
  }

  #source(source: string, range: string | null): Uint8Array | undefined {
    const bytes = this.objects.get(decodeURIComponent(source.replace(/^\//, "")));
    const [, start, end] = /^bytes=(\d+)-(\d+)$/.exec(range ?? "") ?? [];
    return start === undefined ? bytes : bytes?.slice(Number(start), Number(end) + 1);
  }

  #complete(id: string, { key, parts }: FakeUpload, asked: string): Response {
    const numbers = [...asked.matchAll(/<PartNumber>(\d+)<\/PartNumber>/g)].map((found) => Number(found[1]));
    const found = numbers.map((number) => parts.get(number)!);
    if (this.#options.equalParts === true && found.slice(0, -1).some((part) => part.length !== found[0]!.length)) {
      return s3Refusal(400, "InvalidPart");
    }
    this.uploads.delete(id);
    const whole = new Uint8Array(found.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of found) {
      whole.set(part, at);
      at += part.length;
    }
    this.objects.set(key, whole);
    return xml(`<CompleteMultipartUploadResult><ETag>"whole-${found.length}"</ETag></CompleteMultipartUploadResult>`);
  }

  #list(bucket: string, prefix: string): Response {
    const keys = [...this.objects.keys()].filter((key) => key.startsWith(`${bucket}/${prefix}`)).sort();
    const entries = keys.map((key) => `<Contents><Key>${key.slice(bucket.length + 1)}</Key><Size>1</Size></Contents>`);
    const head = `<KeyCount>${keys.length}</KeyCount><IsTruncated>false</IsTruncated>`;
    return xml(`<ListBucketResult>${head}${entries.join("")}</ListBucketResult>`);
  }

  #read(method: string, key: string, range: string | null): Response {
    const bytes = this.objects.get(key);
    if (bytes === undefined) {
      return method === "HEAD" ? new Response(null, { status: 404 }) : s3Refusal(404, "NoSuchKey");
    }
    const headers = { etag: etagOf(bytes), "last-modified": new Date(0).toUTCString() };
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(range ?? "") ?? [];
    if (method === "HEAD") {
      return new Response(null, { headers: { ...headers, "content-length": String(bytes.length) } });
    }
    if (from === undefined) return new Response(new Uint8Array(bytes), { headers });
    const part = bytes.slice(Number(from), Number(to) + 1);
    const place = `bytes ${from}-${Number(from) + part.length - 1}/${bytes.length}`;
    return new Response(part, { status: 206, headers: { ...headers, "content-range": place } });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#http.shutdown();
  }
}

function etagOf(bytes: Uint8Array): string {
  return `"${createHash("md5").update(bytes).digest("hex")}"`;
}

function xml(text: string, status = 200): Response {
  return new Response(`<?xml version="1.0"?>${text}`, { status, headers: { "content-type": "application/xml" } });
}

export function s3Refusal(status: number, code: string, message = code): Response {
  return xml(`<Error><Code>${code}</Code><Message>${message}</Message></Error>`, status);
}
