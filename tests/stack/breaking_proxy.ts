/** A TCP proxy in front of one server, that goes away in the middle of an answer and comes back. */
import { freePort } from "./free_port.ts";

export interface BreakingProxyOptions {
  /** `host:port` of the server. */
  readonly to: string;
  /** Bytes of answers after which it goes away, once. */
  readonly afterBytes: number;
  /** For how long nobody listens then. */
  readonly awayMs: number;
}

export class BreakingProxy implements AsyncDisposable {
  readonly address: string;
  readonly #options: BreakingProxyOptions;
  readonly #connections = new Set<Deno.TcpConn>();
  #listener: Deno.TcpListener;
  #left: number;
  #away: Promise<void> | undefined;
  #returned: number | undefined;
  #closed = false;

  private constructor(options: BreakingProxyOptions) {
    this.#options = options;
    this.#left = options.afterBytes;
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: freePort() });
    this.address = `127.0.0.1:${(this.#listener.addr as Deno.NetAddr).port}`;
    this.#accept(this.#listener);
  }

  static start(options: BreakingProxyOptions): BreakingProxy {
    return new BreakingProxy(options);
  }

  /** Connections since it came back; undefined while it has not been away. */
  get connectionsSinceReturn(): number | undefined {
    return this.#returned;
  }

  async #accept(listener: Deno.TcpListener): Promise<void> {
    for await (const client of listener) {
      if (this.#returned !== undefined) this.#returned++;
      this.#serve(client).catch(() => {});
    }
  }

  async #serve(client: Deno.TcpConn): Promise<void> {
    const [hostname, port] = this.#options.to.split(":");
    const server = await Deno.connect({ hostname: hostname!, port: Number(port) });
    for (const connection of [client, server]) this.#connections.add(connection);
    const forward = async (from: Deno.TcpConn, to: Deno.TcpConn, answers: boolean) => {
      try {
        for await (const chunk of from.readable) {
          if (answers) this.#count(chunk.length);
          for (let at = 0; at < chunk.length;) at += await to.write(chunk.subarray(at));
        }
      } catch {
        // One side is gone; so is the other.
      }
      this.#drop(from);
      this.#drop(to);
    };
    await Promise.all([forward(client, server, false), forward(server, client, true)]);
  }

  #count(bytes: number): void {
    this.#left -= bytes;
    if (this.#left > 0 || this.#away !== undefined) return;
    this.#away = this.#goAway();
  }

  async #goAway(): Promise<void> {
    this.#listener.close();
    for (const connection of this.#connections) this.#drop(connection);
    await new Promise((resolve) => setTimeout(resolve, this.#options.awayMs));
    if (this.#closed) return;
    const [hostname, port] = this.address.split(":");
    this.#returned = 0;
    this.#listener = Deno.listen({ hostname: hostname!, port: Number(port) });
    this.#accept(this.#listener);
  }

  #drop(connection: Deno.TcpConn): void {
    if (!this.#connections.delete(connection)) return;
    try {
      connection.close();
    } catch {
      // Reading it has closed it.
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await this.#away;
    try {
      this.#listener.close();
    } catch {
      // It was away.
    }
    for (const connection of this.#connections) this.#drop(connection);
  }
}
