/** Takes requests until it is told to end. */
import type { ListenConfig } from "../../config/mod.ts";
import { TidemarkError } from "../../pipeline/errors.ts";
import { answer } from "./app.ts";
import type { OpenAPIHono } from "./http.ts";

export interface Listening extends AsyncDisposable {
  /** Such as `http://127.0.0.1:8444`. */
  readonly url: string;
}

/** Throws `config` for an address or a certificate that cannot be used. */
export function listen(app: OpenAPIHono, config: ListenConfig): Listening {
  const at = config.listen.lastIndexOf(":");
  const hostname = config.listen.slice(0, at).replace(/^\[|\]$/g, "");
  const tls = config.tls === undefined
    ? {}
    : { cert: pem(config.tls.cert_file, "cert_file"), key: pem(config.tls.key_file, "key_file") };
  let server: Deno.HttpServer<Deno.NetAddr>;
  try {
    server = Deno.serve(
      { hostname, port: Number(config.listen.slice(at + 1)), onListen: () => {}, ...tls },
      (request, info) => answer(app, request, info.remoteAddr.hostname),
    );
  } catch (cause) {
    throw new TidemarkError("config", `Nothing can listen at ${config.listen}: ${(cause as Error).message}`, {
      hint: "Choose another server.listen, or end what listens there.",
      cause,
    });
  }
  const host = hostname.includes(":") ? `[${hostname}]` : hostname;
  return {
    url: `${config.tls === undefined ? "http" : "https"}://${host}:${server.addr.port}`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

function pem(path: string, key: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (cause) {
    throw new TidemarkError("config", `server.tls.${key} names ${path}, which cannot be read`, {
      hint: "Give a PEM file that this process may read.",
      cause,
    });
  }
}
