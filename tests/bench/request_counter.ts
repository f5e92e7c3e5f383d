/** Counts what a client asks of the server of an object store: a relay in between, which passes bytes on as they are. */

export interface RequestCounter extends AsyncDisposable {
  /** To be used in the place of the server's. */
  readonly endpoint: string;
  /** `GET`, `LIST`, `HEAD`, `PUT`, `COPY`, `DELETE`, `POST` -> requests since the last call. */
  take(): Map<string, number>;
}

const HEAD = /(GET|PUT|HEAD|POST|DELETE) (\/\S*) HTTP\/1\.1\r\n([^]*?)\r\n\r\n/g;
/** Longer than any head; what is kept of a stream to find one that comes in two pieces. */
const TAIL = 16 << 10;

/** `endpoint`: `http://host:port`. */
export function countRequests(endpoint: string): RequestCounter {
  const { hostname, port } = new URL(endpoint);
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const counts = new Map<string, number>();
  const open = new Set<Deno.Conn>();
  const latin1 = new TextDecoder("latin1");
  const watch = async function* (stream: AsyncIterable<Uint8Array>) {
    let seen = "";
    for await (const chunk of stream) {
      seen += latin1.decode(chunk);
      let end = 0;
      for (const { 0: head, 1: method, 2: target, 3: headers, index } of seen.matchAll(HEAD)) {
        end = index + head.length;
        const kind = method === "GET" && /[?&](list-type=2|comp=list)|\/o\?(?!.*alt=media)/.test(target!)
          ? "LIST"
          : method === "PUT" && /^x-amz-copy-source:/im.test(headers!)
          ? "COPY"
          : method!;
        counts.set(kind, (counts.get(kind) ?? 0) + 1);
      }
      seen = seen.slice(Math.max(end, seen.length - TAIL));
      yield chunk;
    }
  };
  const relay = async (client: Deno.Conn) => {
    const server = await Deno.connect({ hostname, port: Number(port) });
    for (const end of [client, server]) open.add(end);
    const quiet = () => {};
    await Promise.all([
      ReadableStream.from(watch(client.readable)).pipeTo(server.writable).catch(quiet),
      server.readable.pipeTo(client.writable).catch(quiet),
    ]);
    for (const end of [client, server]) open.delete(end);
  };
  const accepting = (async () => {
    for await (const client of listener) relay(client).catch(() => {});
  })().catch(() => {});
  return {
    endpoint: `http://127.0.0.1:${(listener.addr as Deno.NetAddr).port}`,
    take() {
      const taken = new Map([...counts].sort());
      counts.clear();
      return taken;
    },
    async [Symbol.asyncDispose]() {
      listener.close();
      for (const end of open) {
        try {
          end.close();
        } catch {
          // It is closed already.
        }
      }
      await accepting;
    },
  };
}
