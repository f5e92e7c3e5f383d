/** Calls `probe.py`: timing is done beside the queries, without a pipe between. */
const SCRIPT = new URL("probe.py", import.meta.url).pathname;

async function probe(python: string, request: Record<string, unknown>): Promise<unknown> {
  const child = new Deno.Command(python, {
    args: [SCRIPT],
    env: { PYTHONDONTWRITEBYTECODE: "1" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(JSON.stringify(request)));
  await writer.close();
  const { success, stdout, stderr } = await child.output();
  if (!success) throw new Error(`probe.py failed: ${new TextDecoder().decode(stderr)}`);
  return JSON.parse(new TextDecoder().decode(stdout));
}

/** Unix times in ms. */
export interface Counted {
  /** When the target counted any row. */
  readonly first: number;
  /** When it counted all of them. */
  readonly all: number;
}

/** Resolves when the target counts `rows`. */
export async function countRows(env: Record<string, string>, name: string, rows: number): Promise<Counted> {
  const request = { mode: "count", target: env.TARGET_URI, name, rows, timeout: 300 };
  const { first, at } = await probe(env.PYTHON!, request) as { first: number; at: number };
  return { first: first * 1000, all: at * 1000 };
}

/** Resolves when the target counts `rows`, with the Unix time in ms of that moment. */
export async function untilCounted(env: Record<string, string>, name: string, rows: number): Promise<number> {
  return (await countRows(env, name, rows)).all;
}

/** Seconds from the source's ack to visible, of `count` rows looked for on the source and `count` on the target. */
export async function measureLag(
  env: Record<string, string>,
  name: string,
  first: number,
  count: number,
): Promise<{ source: number[]; target: number[] }> {
  const request = { mode: "lag", source: env.SOURCE_URI, target: env.TARGET_URI, name, first, count };
  return await probe(env.PYTHON!, request) as { source: number[]; target: number[] };
}
