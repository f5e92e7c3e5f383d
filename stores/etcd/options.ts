/** How a cluster of etcd is reached. */
import type { EtcdClientOptions } from "./client.ts";

/** PEM contents, not paths. */
export interface EtcdTls {
  /** Undefined: the authorities that the system trusts. */
  readonly ca?: Uint8Array | undefined;
  /** Client certificate and its key: both or none. */
  readonly cert?: Uint8Array | undefined;
  readonly key?: Uint8Array | undefined;
  /** Name to expect in the server's certificate where it differs from the address. */
  readonly serverName?: string | undefined;
  /** Accept any certificate. */
  readonly insecure?: boolean | undefined;
}

export interface EtcdOptions extends EtcdClientOptions {
  /** `host:port` each; `http://` and `https://` in front are allowed. The first that answers is used. */
  readonly endpoints: readonly string[];
  /** Undefined: plain text, unless an endpoint says `https://`. */
  readonly tls?: EtcdTls | undefined;
}
