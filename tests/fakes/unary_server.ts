/** A gRPC server of one method, `/test.Service/Take`, which is told each request's bytes; in plain text. */
import { Buffer } from "node:buffer";
import {
  type handleUnaryCall,
  Metadata,
  type sendUnaryData,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
} from "@grpc/grpc-js";

export const TAKE = "/test.Service/Take";

/** What a request is answered with; a `code` is a gRPC status. `trailing`: headers are sent first, the status behind them. */
export type Answer = Uint8Array | { readonly code: number; readonly details: string; readonly trailing?: boolean };

export interface Taken {
  readonly body: Uint8Array;
  readonly headers: Readonly<Record<string, unknown>>;
}

export class UnaryServer implements AsyncDisposable {
  readonly #server = new Server();
  readonly address: string;

  private constructor(port: number, answer: (taken: Taken) => Answer | Promise<Answer>) {
    this.address = `127.0.0.1:${port}`;
    const bytes = (value: Buffer) => value;
    const take: handleUnaryCall<Buffer, Buffer> = async (call, done) => reply(call, done, answer);
    this.#server.addService({
      take: {
        path: TAKE,
        requestStream: false,
        responseStream: false,
        requestSerialize: bytes,
        requestDeserialize: bytes,
        responseSerialize: bytes,
        responseDeserialize: bytes,
      },
    }, { take });
  }

  static async start(answer: (taken: Taken) => Answer | Promise<Answer>, port = freePort()): Promise<UnaryServer> {
    const made = new UnaryServer(port, answer);
    await new Promise<void>((resolve, reject) =>
      made.#server.bindAsync(
        made.address,
        ServerCredentials.createInsecure(),
        (error) => error === null ? resolve() : reject(error),
      )
    );
    return made;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#server.forceShutdown();
    return Promise.resolve();
  }
}

async function reply(
  call: ServerUnaryCall<Buffer, Buffer>,
  done: sendUnaryData<Buffer>,
  answer: (taken: Taken) => Answer | Promise<Answer>,
): Promise<void> {
  const given = await answer({ body: new Uint8Array(call.request), headers: call.metadata.getMap() });
  if (given instanceof Uint8Array) return done(null, Buffer.from(given));
  if (given.trailing === true) call.sendMetadata(new Metadata());
  done({ code: given.code, details: given.details });
}

export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}
