/** Source and target of the stack as another client sees them, clean of what a test of this prefix left behind. */
import { stackEnv } from "../../stack/env.ts";
import { firstFailure } from "../../stack/first_failure.ts";
import { PyMilvus } from "../../stack/pymilvus.ts";

export interface Servers {
  readonly env: Record<string, string>;
  readonly source: PyMilvus;
  readonly target: PyMilvus;
}

/** Servers without what a test of `prefix` left behind; collections and databases of it are dropped at the end, too. */
export async function cleanServers(prefix: string): Promise<Servers & AsyncDisposable> {
  const env = stackEnv();
  await using opened = new AsyncDisposableStack();
  const start = async (uri: string) => opened.use(await PyMilvus.start(uri, { python: env.PYTHON! }));
  const [source, target] = await Promise.all([start(env.SOURCE_URI!), start(env.TARGET_URI!)]);
  const clean = async () => {
    await Promise.all([source, target].map((server) => server.call("truncate_names", { prefix })));
  };
  await clean();
  opened.defer(clean);
  const owned = opened.move();
  return { env, source, target, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** {@link cleanServers} for the time of `work`. */
export async function withServers(prefix: string, work: (servers: Servers) => Promise<void>): Promise<void> {
  try {
    await using servers = await cleanServers(prefix);
    await work(servers);
  } catch (thrown) {
    throw firstFailure(thrown);
  }
}

/** The smallest collection that can be loaded. */
export const SMALL_FIELDS = [
  { name: "id", type: "Int64", primary: true },
  { name: "vec", type: "FloatVector", dim: 4 },
];

export const FLAT_INDEX = [{ field: "vec", name: "vec", params: { index_type: "FLAT", metric_type: "L2" } }];

/** Arguments of `create_collection` for a small collection that is indexed and loaded. */
export function small(name: string, more: Record<string, unknown> = {}): Record<string, unknown> {
  return { name, fields: SMALL_FIELDS, indexes: FLAT_INDEX, load: true, ...more };
}
