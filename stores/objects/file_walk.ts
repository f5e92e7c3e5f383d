/** The files below a folder in the order of their keys. Folders are read ahead: most hold one file, and each takes its time. */
import { createGate } from "./gate.ts";

/** Folders and files asked for at once. */
const AT_ONCE = 16;
/** Names of a folder that are begun before they are wanted. */
const AHEAD = 32;
/** A folder of more names is not read ahead to its end. */
const SMALL = 64;
/** Levels below a name that are begun with it. */
const LEVELS = 2;

export interface FolderReader<File> {
  /** What lies in the folder, in order, as keys; those of folders end in a slash. */
  readonly names: (folder: string) => Promise<readonly string[]>;
  /** Undefined: it is gone, or no file. */
  readonly file: (key: string) => Promise<File | undefined>;
}

interface Folder<File> {
  readonly names: readonly string[];
  /** What was begun of them, from `next` on. */
  readonly begun: Promise<Seen<File>>[];
  next: number;
}

type Seen<File> = { readonly file: File | undefined } | { readonly folder: Folder<File> };

/** `first`: key of the folder, with a slash at the end, or empty. The reader's errors are thrown in their turn. */
export async function* walkFiles<File>(
  reader: FolderReader<File>,
  first: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<File> {
  const gate = createGate(AT_ONCE);
  const asked = new Set<Promise<unknown>>();
  let ended = false;
  const ask = <T>(question: () => Promise<T>): Promise<T> =>
    gate.run(async () => {
      if (ended) throw new Error("Nobody wants it any more");
      const answer = question();
      asked.add(answer);
      try {
        return await answer;
      } finally {
        asked.delete(answer);
      }
    });
  const see = async (key: string, levels: number): Promise<Seen<File>> => {
    if (key !== "" && !key.endsWith("/")) return { file: await ask(() => reader.file(key)) };
    const names = await ask(() => reader.names(key));
    const begun = levels > 0 && names.length <= SMALL ? names.map((name) => begin(name, levels - 1)) : [];
    return { folder: { names, begun, next: 0 } };
  };
  const begin = (key: string, levels: number): Promise<Seen<File>> => {
    const seeing = see(key, levels);
    // It is told where it is wanted.
    seeing.catch(() => {});
    return seeing;
  };
  const open: Folder<File>[] = [];
  let last: Promise<Seen<File>> | undefined = begin(first, 0);
  try {
    while (last !== undefined) {
      const seen: Seen<File> = await last;
      signal?.throwIfAborted();
      if ("folder" in seen) open.push(seen.folder);
      else if (seen.file !== undefined) yield seen.file;
      while (open.length > 0 && open.at(-1)!.next === open.at(-1)!.names.length) open.pop();
      last = open.length === 0 ? undefined : nextOf(open.at(-1)!, begin);
    }
  } finally {
    ended = true;
    await Promise.allSettled(asked);
  }
}

function nextOf<File>(
  folder: Folder<File>,
  begin: (key: string, levels: number) => Promise<Seen<File>>,
): Promise<Seen<File>> {
  const { names, begun } = folder;
  for (let i = folder.next + begun.length; i < names.length && begun.length < AHEAD; i++) {
    begun.push(begin(names[i]!, LEVELS));
  }
  folder.next++;
  return begun.shift()!;
}
