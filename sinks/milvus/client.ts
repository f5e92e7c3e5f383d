/** Milvus' service as typed calls: serialises, checks the Status of every answer, and is patient where that can help. */
import {
  create,
  type DescMessage,
  type DescMethodUnary,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { type Status, StatusSchema } from "../../pipeline/proto/gen/common_pb.ts";
import { MilvusService } from "../../pipeline/proto/gen/milvus_pb.ts";
import type { TidemarkError } from "../../pipeline/errors.ts";
import type { Channel, MessageBytes } from "./channel.ts";
import { isSuccess, statusFault } from "./fault.ts";
import type { Patience } from "./patience.ts";

/** Every method of the public API. */
export const METHOD = MilvusService.method;

export interface Request {
  /** The operation in the infinitive, for messages: "drop the collection sales.items". */
  readonly what: string;
  /** Database that the call is about. */
  readonly db: string;
  readonly signal: AbortSignal;
  /** Overrides the sink's timeout. */
  readonly timeoutMs?: number;
  /** False: fail at once with `unreachable` or `throttled`. Default true: wait and try again. */
  readonly patient?: boolean;
}

export interface MilvusClient {
  readonly address: string;
  readonly patience: Patience;
  /**
   * A call with typed messages. Throws what {@link statusFault} and `rpcFault` make of a failure.
   */
  call<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    options: Request,
  ): Promise<MessageShape<O>>;
  /** One attempt with a request that is serialised already; the answer is decoded and its Status checked. */
  send<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    body: MessageBytes,
    options: Omit<Request, "patient">,
  ): Promise<MessageShape<O>>;
  /** One attempt whose answer stays bytes; nothing is checked. */
  exchange(method: DescMethodUnary, body: MessageBytes, options: Omit<Request, "patient">): Promise<Uint8Array>;
  close(): Promise<void>;
}

export function createClient(channel: Channel, patience: Patience, timeoutMs: number): MilvusClient {
  function exchange(
    method: DescMethodUnary,
    body: MessageBytes,
    options: Omit<Request, "patient">,
  ): Promise<Uint8Array> {
    return channel.unary(`/${method.parent.typeName}/${method.name}`, body, {
      db: options.db,
      timeoutMs: options.timeoutMs ?? timeoutMs,
      signal: options.signal,
    });
  }

  async function send<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    body: MessageBytes,
    options: Omit<Request, "patient">,
  ): Promise<MessageShape<O>> {
    const answer = fromBinary(method.output, await exchange(method, body, options));
    const status = statusOf(answer);
    if (!isSuccess(status)) throw statusFault(status!, options.what);
    return answer;
  }

  function call<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    options: Request,
  ): Promise<MessageShape<O>> {
    const body = toBinary(method.input, create(method.input, request));
    if (options.patient === false) return send(method, body, options);
    return patience.persist(() => send(method, body, options), options.signal);
  }

  return { address: channel.address, patience, call, send, exchange, close: () => channel.close() };
}

/** An answer is a Status, has one in its field `status`, or has none. */
function statusOf(answer: { $typeName: string }): Status | undefined {
  if (answer.$typeName === StatusSchema.typeName) return answer as Status;
  return (answer as { status?: Status }).status;
}

/** True for an error of the given Status.code or, where the server has none, error_code. */
export function hasServerCode(error: TidemarkError, code: number): boolean {
  const cause = error.cause as { origin?: string; code?: number } | undefined;
  return cause?.origin === "status" && cause.code === code;
}
