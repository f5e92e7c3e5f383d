/**
 * What goes over the wire to etcd, as etcd3's protobuf loader shows it: field names of etcd's own .proto files, 64-bit
 * numbers as decimal text, bytes as buffers. Only the fields that are used.
 */

export type EtcdService = "KV" | "Watch" | "Lease" | "Maintenance" | "Auth";

export interface WireHeader {
  readonly cluster_id: string;
  readonly raft_term: string;
  readonly member_id: string;
  readonly revision: string;
}

export interface WireKv {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly create_revision: string;
  readonly mod_revision: string;
  readonly version: string;
  readonly lease: string;
}

export interface WireRange {
  readonly header: WireHeader;
  readonly kvs: readonly WireKv[];
  readonly more: boolean;
  readonly count: string;
}

export interface WireTxn {
  readonly header: WireHeader;
  readonly succeeded: boolean;
  readonly responses: readonly { readonly response_range?: WireRange }[];
}

export interface WireWatch {
  readonly header: WireHeader;
  readonly created: boolean;
  readonly canceled: boolean;
  /** Above 0 where the watch asked for a revision that was compacted away. */
  readonly compact_revision: string;
  readonly cancel_reason: string;
  readonly events: readonly { readonly type: "Put" | "Delete"; readonly kv: WireKv }[];
}

export interface WireStatus {
  readonly header: WireHeader;
  readonly version: string;
  readonly dbSize: string;
  readonly leader: string;
}

/** A two-way stream; iterating reads, an error of the call is thrown by the iteration. */
export interface WireStream<Request, Response> extends AsyncIterable<Response> {
  write(request: Request): void;
  /** Ends the call on both sides; nothing is thrown afterwards. */
  cancel(): void;
}

/** How a call failed: the gRPC status and etcd's words. */
export class WireError extends Error {
  override readonly name = "WireError";

  constructor(readonly status: number, readonly details: string) {
    super(details);
  }
}

/** One etcd server. Calls throw {@link WireError}, nothing is retried. */
export interface EtcdEndpoint {
  /** `host:port`. */
  readonly address: string;
  unary<Response>(
    service: EtcdService,
    method: string,
    request: object,
    options: { token: string | undefined; timeoutMs: number; signal: AbortSignal | undefined },
  ): Promise<Response>;
  stream<Request, Response>(
    service: EtcdService,
    method: string,
    options: { token: string | undefined },
  ): Promise<WireStream<Request, Response>>;
  close(): Promise<void>;
}
