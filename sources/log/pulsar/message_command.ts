/** The command MESSAGE, which comes with every entry, read by hand: as classes it costs as much as all else of a small message. */
import { BaseCommand_Type as Type } from "../../../pipeline/proto/gen/pulsar_api_pb.ts";
import { BYTES, VARINT, WireError, WireReader } from "../wire.ts";

/** CommandMessage of Pulsar's API, as far as it is used. */
export interface MessageCommand {
  readonly consumerId: bigint;
  readonly ledger: bigint;
  readonly entry: bigint;
}

const TYPE = 1 << 3 | VARINT;
const MESSAGE = 9 << 3 | BYTES;
const CONSUMER_ID = 1 << 3 | VARINT;
const MESSAGE_ID = 2 << 3 | BYTES;
const LEDGER_ID = 1 << 3 | VARINT;
const ENTRY_ID = 2 << 3 | VARINT;

/** `bytes`: a BaseCommand. Undefined: another command. Throws `WireError`. */
export function readMessageCommand(bytes: Uint8Array): MessageCommand | undefined {
  // A server writes the type first; whoever did not would be understood by the classes.
  if (bytes[0] !== TYPE || bytes[1] !== Type.MESSAGE) return undefined;
  let [consumerId, ledger, entry] = [0n, 0n, 0n];
  let found = false;
  const command = new WireReader(bytes, 2);
  for (let tag = command.tag(); tag !== 0; tag = command.tag()) {
    if (tag !== MESSAGE) {
      command.skip(tag);
      continue;
    }
    const message = command.message();
    for (let field = message.tag(); field !== 0; field = message.tag()) {
      if (field === CONSUMER_ID) consumerId = message.uint64();
      else if (field === MESSAGE_ID) {
        found = true;
        const id = message.message();
        for (let part = id.tag(); part !== 0; part = id.tag()) {
          if (part === LEDGER_ID) ledger = id.uint64();
          else if (part === ENTRY_ID) entry = id.uint64();
          else id.skip(part);
        }
      } else message.skip(field);
    }
  }
  if (!found) throw new WireError("a message without its place");
  return { consumerId, ledger, entry };
}
