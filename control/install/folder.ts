/** Where a command goes so that it is found. */

export interface FolderOptions {
  /** The variable PATH. */
  readonly path: string;
  /** The user's folder. */
  readonly home: string;
  /** Whether a folder is there and may be written. */
  readonly writable: (folder: string) => boolean;
}

export interface InstallFolder {
  readonly folder: string;
  /** Whether a shell finds what is in it. */
  readonly onPath: boolean;
}

/** The first of the usual folders that is on PATH and may be written; else `~/.local/bin`. */
export function chooseFolder({ path, home, writable }: FolderOptions): InstallFolder {
  const usual = [`${home}/.local/bin`, `${home}/bin`, `${home}/.deno/bin`, "/usr/local/bin"];
  const found = usual.find((folder) => onPath(path, folder) && writable(folder));
  return { folder: found ?? usual[0]!, onPath: found !== undefined };
}

/** Whether PATH has this folder. */
export function onPath(path: string, folder: string): boolean {
  return path.split(":").some((entry) => entry.replace(/(?<=.)\/+$/, "") === folder);
}
