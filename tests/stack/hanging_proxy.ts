/** A TCP proxy in front of one server that can fall silent: it accepts, and takes what is sent, and never answers. */

export class HangingProxy implements AsyncDisposable {
  readonly address: string;
  readonly #to: string;
  readonly #listener: Deno.TcpListener;
  readonly #connections = new Set<Deno.TcpConn>();
  #hangs = false;
  #accepted = 0;
  #accepting: Promise<void>;

  private constructor(to: string) {
    this.#to = to;
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.address = `127.0.0.1:${(this.#listener.addr as Deno.NetAddr).port}`;
    this.#accepting = this.#accept();
  }

  /** `to`: `host:port` of the server. */
  static start(to: string): HangingProxy {
    return new HangingProxy(to);
  }

  /** Connections that were made while it hung. */
  get unanswered(): number {
    return this.#accepted;
  }

  /** From now on nothing is answered, on connections that are open, either. */
  hang(): void {
    this.#hangs = true;
    this.#accepted = 0;
  }

  /** Works again; what it swallowed is lost, and its connections with it. */
  release(): void {
    this.#hangs = false;
    for (const connection of [...this.#connections]) this.#drop(connection);
  }

  async #accept(): Promise<void> {
    try {
      for await (const client of this.#listener) {
        if (this.#hangs) this.#accepted++;
        this.#serve(client).catch(() => this.#drop(client));
      }
    } catch {
      // It is closed.
    }
  }

  async #serve(client: Deno.TcpConn): Promise<void> {
    this.#connections.add(client);
    const [hostname, port] = this.#to.split(":");
    const server = await Deno.connect({ hostname: hostname!, port: Number(port) });
    this.#connections.add(server);
    const forward = async (from: Deno.TcpConn, to: Deno.TcpConn) => {
      try {
        for await (const chunk of from.readable) {
          if (this.#hangs) continue;
          for (let at = 0; at < chunk.length;) at += await to.write(chunk.subarray(at));
        }
      } catch {
        // One side is gone; so is the other.
      }
      this.#drop(from);
      this.#drop(to);
    };
    await Promise.all([forward(client, server), forward(server, client)]);
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
    this.#listener.close();
    for (const connection of [...this.#connections]) this.#drop(connection);
    await this.#accepting;
  }
}
