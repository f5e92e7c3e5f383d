/** A forward proxy as companies have them: plain requests by their whole URL, and tunnels by CONNECT. */

export interface ForwardProxy extends AsyncDisposable {
  readonly url: string;
  /** `host:port` of what was asked for, a tunnel as `CONNECT host:port`. */
  readonly seen: readonly string[];
}

/** `address`: of the machine that has this name; default: what the resolver says. */
export function startForwardProxy(address: (hostname: string) => string = (name) => name): ForwardProxy {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const seen: string[] = [];
  const open = new Set<Deno.TcpConn>();
  const close = (connection: Deno.TcpConn) => {
    if (!open.delete(connection)) return;
    try {
      connection.close();
    } catch {
      // It was closed by its end.
    }
  };
  const serve = async (client: Deno.TcpConn) => {
    open.add(client);
    try {
      const { head, rest } = await readHead(client);
      const [method, target] = head.split(" ", 2) as [string, string];
      const tunnel = method === "CONNECT";
      const url = new URL(tunnel ? `http://${target}` : target);
      seen.push(tunnel ? `CONNECT ${target}` : url.host);
      const server = await Deno.connect({ hostname: address(url.hostname), port: Number(url.port || 80) });
      open.add(server);
      if (tunnel) {
        await write(client, new TextEncoder().encode("HTTP/1.1 200 Connection established\r\n\r\n"));
      } else {
        // One request a connection, so that there is one line to change.
        const lines = head.split("\r\n").filter((line) => !/^(proxy-)?connection:/i.test(line));
        lines[0] = lines[0]!.replace(target, `${url.pathname}${url.search}`);
        await write(server, new TextEncoder().encode(`${lines.join("\r\n")}\r\nConnection: close\r\n\r\n`));
      }
      await write(server, rest);
      const splice = async (from: Deno.TcpConn, to: Deno.TcpConn) => {
        try {
          for await (const chunk of from.readable) await write(to, chunk);
        } catch {
          // One side is gone; so is the other.
        }
        close(from);
        close(to);
      };
      await Promise.all([splice(client, server), splice(server, client)]);
    } catch {
      close(client);
    }
  };
  const accepting = (async () => {
    try {
      for await (const client of listener) serve(client);
    } catch {
      // It is closed.
    }
  })();
  return {
    url: `http://127.0.0.1:${(listener.addr as Deno.NetAddr).port}`,
    seen,
    async [Symbol.asyncDispose]() {
      listener.close();
      for (const connection of [...open]) close(connection);
      await accepting;
    },
  };
}

async function readHead(client: Deno.TcpConn): Promise<{ head: string; rest: Uint8Array }> {
  let bytes = new Uint8Array();
  for (;;) {
    const chunk = new Uint8Array(65_536);
    const count = await client.read(chunk);
    if (count === null) throw new Error("The client went away");
    bytes = new Uint8Array([...bytes, ...chunk.subarray(0, count)]);
    const text = new TextDecoder("latin1").decode(bytes);
    const end = text.indexOf("\r\n\r\n");
    if (end >= 0) return { head: text.slice(0, end), rest: bytes.slice(end + 4) };
  }
}

async function write(to: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await to.write(bytes.subarray(at));
}
