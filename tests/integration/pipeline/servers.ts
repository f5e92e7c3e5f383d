/** Source and target of the stack as another client sees them, clean of what a test of this prefix left behind. */
import { stackEnv } from "../../stack/env.ts";
import { PyMilvus } from "../../stack/pymilvus.ts";

export interface Servers {
  readonly env: Record<string, string>;
  readonly source: PyMilvus;
  readonly target: PyMilvus;
}

/** Drops every collection and database of `prefix` on both sides, before and after `work`. */
export async function withServers(prefix: string, work: (servers: Servers) => Promise<void>): Promise<void> {
  const env = stackEnv();
  await using servers = new AsyncDisposableStack();
  const start = async (uri: string) => servers.use(await PyMilvus.start(uri, { python: env.PYTHON! }));
  const [source, target] = await Promise.all([start(env.SOURCE_URI!), start(env.TARGET_URI!)]);
  const clean = async () => {
    await Promise.all([source, target].map((server) => server.call("truncate_names", { prefix })));
  };
  await clean();
  await work({ env, source, target });
  await clean();
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
