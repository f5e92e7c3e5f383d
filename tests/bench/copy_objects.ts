/**
 * A process that copies every object of one store into another, as a backup does what the stores cannot copy by themselves:
 *
 *     deno run -A tests/bench/copy_objects.ts '<store to read, JSON>' '<store to write, JSON>' <at once>
 */
import { createSlots } from "../../sinks/backup/slots.ts";
import { copyObject } from "../../sinks/backup/copy.ts";
import { objectStoreSpec, openObjectStore } from "../../stores/mod.ts";

const [from, to, atOnce] = Deno.args;
const open = (config: string) => openObjectStore(objectStoreSpec.parse(JSON.parse(config)));
const [source, store] = await Promise.all([open(from!), open(to!)]);
const target = { store, name: "copy", previous: undefined, bandwidth: undefined, serverSide: undefined };
const slots = createSlots(parseInt(atOnce!, 10));
const { signal } = new AbortController();
const copies: Promise<unknown>[] = [];
for await (const info of source.list("")) {
  const job = { source, sourceKey: info.key, path: info.key, info };
  copies.push(slots.run(() => copyObject(job, target, signal)));
}
await Promise.all(copies);
await source.close();
await store.close();
