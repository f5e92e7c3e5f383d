/**
 * Below the ports of stacks and those that Linux gives outgoing connections: a server that is to begin or to come back finds
 * its port taken by no connection, and no client that tries again and again meets itself there.
 */
const LOWEST = 10_000;
const HIGHEST = 21_999;

/** Handed out by this process before, whether or not somebody listens there by now. */
const given = new Set<number>();

/** A port of the loopback interface on which nobody listens, another one each time. */
export function freePort(): number {
  for (let attempt = 0; attempt < 1000; attempt++) {
    const port = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST + 1));
    if (given.has(port) || !isFree(port)) continue;
    given.add(port);
    return port;
  }
  throw new Error(`No free port between ${LOWEST} and ${HIGHEST} on 127.0.0.1`);
}

function isFree(port: number): boolean {
  try {
    Deno.listen({ hostname: "127.0.0.1", port }).close();
    return true;
  } catch {
    return false;
  }
}
