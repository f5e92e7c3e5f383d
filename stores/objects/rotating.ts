/** A client made of credentials that may be others by now: keys that come from files are rotated. */

export interface Rotating<Client> {
  readonly client: Client;
  /** Runs `send`, and once more with a new client where the server refuses the credentials and there are others now. */
  run<T>(send: (client: Client) => Promise<T>): Promise<T>;
  /** Closes every client there was: requests of former ones may be under way. */
  close(): void;
}

export interface RotatingOptions<Credentials, Client> {
  readonly credentials: Credentials;
  readonly make: (credentials: Credentials) => Client;
  /** The credentials as their files hold them now; undefined where they come from no file. */
  readonly reread: (() => Promise<Credentials>) | undefined;
  readonly isRefusal: (thrown: unknown) => boolean;
  /** True where a new client of the same credentials may be let in: what the former one was given by them has ended. */
  readonly isStale?: (thrown: unknown) => boolean;
  readonly close: (client: Client) => void;
}

export function createRotating<Credentials, Client>(options: RotatingOptions<Credentials, Client>): Rotating<Client> {
  let { credentials } = options;
  let client = options.make(credentials);
  const replaced: Client[] = [];
  const hasOthers = async (used: Client, thrown: unknown): Promise<boolean> => {
    if (used !== client) return true;
    const now = await options.reread?.();
    if (used !== client) return true;
    const same = now === undefined || JSON.stringify(now) === JSON.stringify(credentials);
    if (same && options.isStale?.(thrown) !== true) return false;
    replaced.push(client);
    credentials = now ?? credentials;
    client = options.make(credentials);
    return true;
  };
  return {
    get client() {
      return client;
    },
    async run(send) {
      const used = client;
      try {
        return await send(used);
      } catch (thrown) {
        if (!options.isRefusal(thrown) || !await hasOthers(used, thrown)) throw thrown;
        return await send(client);
      }
    },
    close() {
      for (const each of [client, ...replaced]) options.close(each);
    },
  };
}
